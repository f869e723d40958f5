import type { RuleViolation } from '../schema/violation.js';
import { checkExportTo } from './common-rules.js';
import { type Embedded, readEmbedded } from './embedded.js';
import type { Kind } from './kind.js';
import { checkMeshConfig } from './mesh-config-rules.js';
import { meshConfigSchema } from './mesh-config-schema.js';
import { createReport, type Report } from './report.js';
import type { MeshConfigSpec } from './types.js';
import type { Document, FieldPath } from './view.js';

/** Istio MeshConfig as a document: the settings of the mesh. It is also read from the ConfigMap `istio`. */
export const meshConfigKind: Kind<'MeshConfig'> = {
  name: 'MeshConfig',
  apiVersions: ['inmesh.dev/v1', 'mesh.istio.io/v1alpha1', 'v1alpha1'],
  schema: meshConfigSchema,
  validate({ spec, namespace }) {
    const report = createReport();
    check(spec, namespace, ['spec'], report);
    return report.violations;
  },
};

const EXPORTS = [
  'defaultServiceExportTo',
  'defaultVirtualServiceExportTo',
  'defaultDestinationRuleExportTo',
] as const;

function check(spec: MeshConfigSpec, namespace: string, path: FieldPath, report: Report): void {
  checkMeshConfig(spec, path, report);
  for (const field of EXPORTS) {
    const own = createReport();
    checkExportTo(spec[field], namespace, own, true);
    for (const one of own.violations) report.invalid([...path, field], one.message);
  }
}

const read = new WeakMap<Document<'ConfigMap'>['spec'], Embedded<MeshConfigSpec>>();

/** The MeshConfig that Istio's ConfigMap `istio` holds as a text; undefined for every other ConfigMap. */
export function meshConfigOfConfigMap({
  name,
  namespace,
  spec,
}: Document<'ConfigMap'>): Embedded<MeshConfigSpec> | undefined {
  const text = spec.data?.['mesh'];
  if (text === undefined || !/^istio(?:-|$)/.test(name)) return undefined;
  let known = read.get(spec);
  if (known === undefined) {
    const { value, violations } = readEmbedded(text, meshConfigSchema, (one, report) =>
      check(one, namespace, [], report),
    );
    known = { value, violations: violations.map(atText) };
    read.set(spec, known);
  }
  return known;
}

/** Complaints stand at the text: what is in it has no place of its own in the file. */
function atText({ code, severity, message, suggestion, path }: RuleViolation): RuleViolation {
  return {
    code,
    severity,
    suggestion,
    path: ['data', 'mesh'],
    message: path.length === 0 ? message : `${path.join('.')}: ${message}`,
  };
}
