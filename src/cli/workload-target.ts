import { readFile } from 'node:fs/promises';
import {
  type AuthorizationTarget,
  formatViolations,
  type MeshSettings,
  readMeshConfig,
} from '../control-plane.js';
import { MeshError, messageOf } from '../runtime/errors.js';
import { labelsOf } from './labels.js';
import type { Output } from './output.js';
import type { WorkloadOptions } from './workload-options.js';

/** The workload and the mesh that the options name; undefined, with the reason on stderr, when the mesh can't be read. */
export async function targetOf(
  options: Omit<WorkloadOptions, 'file'>,
  output: Output,
): Promise<AuthorizationTarget | undefined> {
  const { service, trustDomain, trustDomainAlias, rootNamespace } = options;
  const read = options.meshConfig === undefined ? {} : await meshOf(options.meshConfig, output);
  if (read === undefined) return undefined;
  return {
    namespace: options.proxyNamespace ?? options.namespace ?? 'default',
    labels: labelsOf([...(options.label ?? []), ...(options.proxyLabels ?? [])]),
    service,
    mesh: {
      ...read,
      ...(trustDomain !== undefined && { trustDomain }),
      ...(trustDomainAlias !== undefined && { trustDomainAliases: trustDomainAlias }),
      ...(rootNamespace !== undefined && { rootNamespace }),
    },
  };
}

/** The settings in a file with a MeshConfig; undefined, with the reason on stderr, when it can't be read. */
export async function meshOf(path: string, output: Output): Promise<MeshSettings | undefined> {
  let content: Buffer;
  try {
    content = await readFile(path);
  } catch (error) {
    throw new MeshError('INMESH_CONFIG_READ', `${path} cannot be read: ${messageOf(error)}`, {
      cause: error,
    });
  }
  const { settings, violations } = readMeshConfig({ file: path, content });
  if (violations.length > 0) output.err(`${formatViolations(violations)}\n`);
  return violations.some(({ severity }) => severity === 'error') ? undefined : settings;
}
