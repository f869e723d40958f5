import { z } from 'zod';
import { extensionProviderSchema } from '../mesh/extension-provider.js';
import type { MeshSettings } from '../mesh/mesh-config.js';
import { ConfigFile, type ConfigText } from '../schema/config-file.js';
import { DEFAULT_LIMITS } from '../schema/limits.js';
import { checkStructure } from '../schema/structure.js';
import { isPlainObject, type PlainValue } from '../schema/value.js';
import type { RuleViolation, Violation } from '../schema/violation.js';

/** What of Istio's MeshConfig is read. */
const meshConfigSchema = z.object({
  trustDomain: z.string().min(1).optional(),
  trustDomainAliases: z.array(z.string().min(1)).optional(),
  rootNamespace: z.string().min(1).optional(),
  extensionProviders: z.array(z.unknown()).optional(),
  pathNormalization: z
    .object({
      normalization: z
        .enum(['DEFAULT', 'NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES'])
        .optional(),
    })
    .optional(),
  outboundTrafficPolicy: z.object({ mode: z.enum(['ALLOW_ANY', 'REGISTRY_ONLY']).optional() }).optional(),
});

/** A MeshConfig as it was read. */
export interface MeshConfigRead {
  readonly settings: MeshSettings;
  /** Errors, and warnings about what is not read. */
  readonly violations: readonly Violation[];
}

/** Reads Istio's MeshConfig: the settings that are followed here; others are pointed at. */
export function readMeshConfig({ file, content }: ConfigText): MeshConfigRead {
  const text = typeof content === 'string' ? content : Buffer.from(content).toString('utf8');
  const source = new ConfigFile(file, text, DEFAULT_LIMITS);
  const { documents, violations } = source.read();
  const [document] = documents;
  if (document === undefined || violations.length > 0) return { settings: {}, violations };
  const found: RuleViolation[] = [];
  const checked = checkStructure(meshConfigSchema, document.value, []);
  found.push(...checked.violations, ...unread(document.value));
  const {
    extensionProviders = [],
    outboundTrafficPolicy,
    pathNormalization,
    ...others
  } = checked.value ?? {};
  const { trustDomain, trustDomainAliases, rootNamespace } = others;
  const providers = extensionProviders.flatMap((one, index) => {
    // What was parsed from the file is plain.
    const value = one as PlainValue;
    if (!authorizes(value)) return [];
    const provider = checkStructure(extensionProviderSchema, value, ['extensionProviders', index]);
    found.push(...provider.violations);
    return provider.value === undefined
      ? []
      : [value as NonNullable<MeshSettings['extensionProviders']>[number]];
  });
  const mode = outboundTrafficPolicy?.mode;
  const { normalization = 'DEFAULT' } = pathNormalization ?? {};
  return {
    settings: {
      ...(trustDomain !== undefined && { trustDomain }),
      ...(trustDomainAliases !== undefined && { trustDomainAliases }),
      ...(rootNamespace !== undefined && { rootNamespace }),
      extensionProviders: providers,
      ...(mode !== undefined && { outboundTrafficPolicy: mode }),
      // Istio: DEFAULT is BASE.
      ...(normalization !== 'DEFAULT' && { pathNormalization: normalization }),
    },
    violations: found.map((one) => ({
      ...one,
      resource: undefined,
      ...source.place(document.index, one.path, one.atKey === true),
    })),
  };
}

/** Other providers are about tracing and logs. */
function authorizes(value: PlainValue): boolean {
  if (!isPlainObject(value)) return true;
  const others = Object.keys(value).filter((key) => key !== 'name');
  return others.length === 0 || others.some((key) => key.startsWith('envoyExtAuthz'));
}

function unread(value: PlainValue): readonly RuleViolation[] {
  if (!isPlainObject(value)) return [];
  const known = Object.keys(meshConfigSchema.shape);
  return Object.keys(value)
    .filter((key) => !known.includes(key))
    .map((key) => ({
      code: 'INMESH_CONFIG_UNSUPPORTED',
      severity: 'warning',
      message: `${key} of a MeshConfig is not read here`,
      path: [key],
      atKey: true,
    }));
}
