import type { Command } from 'commander';
import { collect } from './collect.js';
import { withFileOption } from './file-option.js';

/** The options by which a command names a workload and the settings of its mesh, as commander gives them. */
export interface WorkloadOptions {
  readonly file: readonly string[];
  readonly namespace?: string;
  readonly proxyNamespace?: string;
  readonly label?: readonly string[];
  readonly proxyLabels?: readonly string[];
  readonly service?: string;
  readonly trustDomain?: string;
  readonly trustDomainAlias?: readonly string[];
  readonly rootNamespace?: string;
  readonly meshConfig?: string;
}

/** Adds those options. Each value has an option of its own, since arguments may follow. */
export function withWorkloadOptions(command: Command): Command {
  return withFileOption(command, 'files or folders of Istio YAML')
    .option('-n, --namespace <namespace>', 'namespace of the workload (default: default)')
    .option('-l, --label <key=value>', 'label of the workload; may be repeated', collect)
    .option('--proxy-namespace <namespace>', 'the same as --namespace')
    .option('--proxy-labels <key=value>', 'the same as --label; several with commas between', collect)
    .option('-s, --service <name>', 'service that the workload serves; its label app, unless -l says another')
    .option('--trust-domain <name>', 'SPIFFE trust domain of the mesh (default: cluster.local)')
    .option('--trust-domain-alias <name>', 'another name of it; may be repeated', collect)
    .option('--root-namespace <namespace>', 'namespace of mesh-wide policies (default: istio-system)')
    .option('--mesh-config <file>', "Istio's MeshConfig: trust domain, aliases, extension providers");
}
