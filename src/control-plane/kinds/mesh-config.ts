import { ConfigFile } from '../schema/config-file.js';
import { DEFAULT_LIMITS } from '../schema/limits.js';
import { checkStructure } from '../schema/structure.js';
import type { RuleViolation } from '../schema/violation.js';
import { checkExportTo } from './common-rules.js';
import type { Kind } from './kind.js';
import { checkMeshConfig } from './mesh-config-rules.js';
import { meshConfigSchema } from './mesh-config-schema.js';
import { createReport } from './report.js';
import type { MeshConfigSpec } from './types.js';
import type { Document } from './view.js';

/** Istio MeshConfig as a document: the settings of the mesh. It is also read from the ConfigMap `istio`. */
export const meshConfigKind: Kind<'MeshConfig'> = {
  name: 'MeshConfig',
  apiVersions: ['inmesh.dev/v1', 'mesh.istio.io/v1alpha1', 'v1alpha1'],
  schema: meshConfigSchema,
  validate({ spec, namespace }) {
    const report = createReport();
    checkMeshConfig(spec, ['spec'], report);
    for (const field of [
      'defaultServiceExportTo',
      'defaultVirtualServiceExportTo',
      'defaultDestinationRuleExportTo',
    ] as const) {
      const own = createReport();
      checkExportTo(spec[field], namespace, own, true);
      for (const one of own.violations) report.invalid(['spec', field], one.message);
    }
    return report.violations;
  },
};

interface Read {
  readonly value: MeshConfigSpec | undefined;
  readonly violations: readonly RuleViolation[];
}

const read = new WeakMap<Document<'ConfigMap'>['spec'], Read>();

/** The MeshConfig that Istio's ConfigMap `istio` holds as a text; undefined for every other ConfigMap. */
export function meshConfigOfConfigMap({ name, spec }: Document<'ConfigMap'>): Read | undefined {
  const text = spec.data?.['mesh'];
  if (text === undefined || !/^istio(?:-|$)/.test(name)) return undefined;
  let known = read.get(spec);
  if (known === undefined) {
    known = readText(text);
    read.set(spec, known);
  }
  return known;
}

/** Complaints stand at the text: what is in it has no place of its own in the file. */
function readText(text: string): Read {
  const { documents, violations } = new ConfigFile('mesh', text, DEFAULT_LIMITS).read();
  const [document] = documents;
  const checked = checkStructure(meshConfigSchema, document?.value ?? {}, []);
  const found = [...violations, ...checked.violations].map(
    ({ code, severity, message, suggestion, path }): RuleViolation => ({
      code,
      severity,
      suggestion,
      path: ['data', 'mesh'],
      message: path.length === 0 ? message : `${path.join('.')}: ${message}`,
    }),
  );
  return { value: found.length > 0 ? undefined : checked.value, violations: found };
}
