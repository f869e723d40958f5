import { envoyFilterSchema } from './envoy-filter-schema.js';
import type { Kind } from './kind.js';

/** Istio EnvoyFilter: patches of what is compiled. */
export const envoyFilterKind: Kind<'EnvoyFilter'> = {
  name: 'EnvoyFilter',
  apiVersions: ['networking.istio.io/v1alpha3'],
  schema: envoyFilterSchema,
  validate: () => [],
};
