import { type Command, Option } from 'commander';
import { collect } from './collect.js';
import type { Done } from './done.js';
import { pathsOf, withFileOption } from './file-option.js';
import { formatOption } from './format-option.js';
import type { Output } from './output.js';
import { withPlaneOptions } from './plane-options.js';

const LEVELS = ['Info', 'Warning', 'Error'];

/** Adds `analyze`. */
export function addAnalyze(program: Command, output: Output, done: Done): void {
  const command = withPlaneOptions(program.command('analyze'));
  withFileOption(command, 'the same as the argument')
    .description(
      'Check documents against each other: references that lead nowhere, conflicts, rules that never hold. Exit code 1: a finding at the failure threshold.',
    )
    .argument(
      '[path...]',
      'files or folders of YAML or JSON; - is the standard input (default: what is in force at the control plane)',
    )
    .option('-n, --namespace <namespace>', 'only findings about documents of this namespace')
    .option('-A, --all-namespaces', 'findings about documents of all namespaces, whatever -n says', false)
    .option('--ignore-unknown', 'pass over files that cannot be read', false)
    // Of istioctl's commands: files are never held against a cluster.
    .addOption(new Option('-k, --use-kube <yes>').choices(['false']).hideHelp())
    .option('--analyzer <name...>', 'only these analyzers, such as gateway.SecretAnalyzer')
    .option(
      '-S, --suppress <code=document>',
      'leave out a code, everywhere or about a document: IST0102, IST0101=VirtualService shop/cart; * for any text; may be repeated',
      collect,
    )
    .addOption(level('--failure-threshold', 'fails from this level on', 'Error'))
    .addOption(level('--output-threshold', 'shows findings from this level on', 'Info'))
    .option('--mesh-config <file>', "Istio's MeshConfig")
    .option('--mesh-networks <file>', "Istio's MeshNetworks")
    .option('-i, --istio-namespace <namespace>', 'namespace of the control plane', 'istio-system')
    .option('-L, --list-analyzers', 'list the analyzers with their codes instead', false)
    .addOption(formatOption('table', 'wide', 'json', 'yaml', 'name'))
    .addHelpText('after', EXAMPLES)
    .action(async (paths: readonly string[], { file = [], recursive, allNamespaces, ...given }) => {
      const { namespace, ...rest } = given;
      const options = allNamespaces || namespace === undefined ? rest : { ...rest, namespace };
      const files: readonly string[] = [...file, ...(await pathsOf(paths, recursive))];
      if (files.length === 0 && !options.listAnalyzers) {
        if (options.useKube === 'false') command.error('error: --use-kube=false needs files');
        const { analyzeLive } = await import('./analyze-live.js');
        done(await analyzeLive({ ...options, format: options.output }, output));
        return;
      }
      const { analyze } = await import('./analyze.js');
      done(await analyze({ ...options, files, format: options.output }, output));
    });
}

function level(flag: string, description: string, standard: string): Option {
  return new Option(`${flag} <level>`, description)
    .choices(LEVELS)
    .argParser((text) => {
      const found = LEVELS.find((one) => one.toLowerCase() === text.toLowerCase());
      return found ?? text;
    })
    .default(standard);
}

const EXAMPLES = `
Examples:
  $ inmesh analyze mesh.d                                    findings of a folder, each with its place
  $ inmesh analyze -f mesh.yaml -o json --failure-threshold Warning
  $ inmesh analyze mesh.d --suppress "IST0101=VirtualService shop/*" --suppress IST0102`;
