import type { Kind } from './kind.js';
import { telemetrySchema } from './telemetry-schema.js';

/** Istio Telemetry: traces, metrics and access logs of workloads. */
export const telemetryKind: Kind<'Telemetry'> = {
  name: 'Telemetry',
  apiVersions: ['telemetry.istio.io/v1', 'telemetry.istio.io/v1alpha1'],
  schema: telemetrySchema,
  validate: () => [],
};
