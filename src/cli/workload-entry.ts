import { sendChanges } from './changes.js';
import { labelsOf } from './labels.js';
import { yamlOf } from './objects.js';
import type { Output } from './output.js';
import type { PlaneOptions } from './plane-options.js';

/** What `inmesh workload entry` was asked for. */
export interface WorkloadEntryOptions extends PlaneOptions {
  readonly address: string;
  readonly namespace: string;
  readonly label?: readonly string[];
  readonly serviceAccount?: string;
  readonly port?: number;
  readonly locality?: string;
  readonly weight?: number;
  readonly apply?: boolean;
  readonly format: 'yaml' | 'json';
}

/** Prints a WorkloadEntry, and applies it where that is asked for. */
export async function workloadEntry(
  name: string,
  options: WorkloadEntryOptions,
  output: Output,
): Promise<number> {
  const { address, namespace, label, serviceAccount, port, locality, weight } = options;
  const entry = {
    apiVersion: 'networking.istio.io/v1',
    kind: 'WorkloadEntry',
    metadata: namespace === 'default' ? { name } : { name, namespace },
    spec: {
      address,
      labels: label === undefined ? { app: name } : labelsOf(label),
      ...(serviceAccount !== undefined && { serviceAccount }),
      ...(port !== undefined && { ports: { http: port } }),
      ...(locality !== undefined && { locality }),
      ...(weight !== undefined && { weight }),
    },
  };
  if (options.apply === true) {
    const told: Output = { ...output, out: output.err };
    const code = await sendChanges([{ op: 'apply', object: entry }], { ...options, format: 'table' }, told);
    if (code !== 0) return code;
  }
  output.out(options.format === 'json' ? `${JSON.stringify(entry, undefined, 2)}\n` : await yamlOf([entry]));
  return 0;
}
