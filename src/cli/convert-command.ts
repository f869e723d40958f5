import { type Command, Option } from 'commander';
import type { Done } from './done.js';
import type { Output } from './output.js';
import { collect } from './workload-options.js';

/** Adds `convert`. */
export function addConvert(program: Command, output: Output, done: Done): void {
  program
    .command('convert')
    .description(
      "Convert documents: Istio's VirtualServices and Gateways to the Gateway API, or back. What has no equal goes to stderr; exit code 1: there is some.",
    )
    .requiredOption('-f, --file <path>', 'file or folder of documents; may be repeated', collect)
    .addOption(
      new Option('--to <kinds>', 'what they become').choices(['gateway-api', 'istio']).makeOptionMandatory(),
    )
    .addOption(
      new Option('-o, --output <format>', 'how it is printed').choices(['yaml', 'json']).default('yaml'),
    )
    .addHelpText('after', EXAMPLES)
    .action(async (options) => {
      const { convert } = await import('./convert.js');
      done(await convert(options, output));
    });
}

const EXAMPLES = `
Examples:
  $ inmesh convert -f mesh.yaml --to gateway-api              print HTTPRoutes, Gateways and what they need
  $ inmesh convert -f routes.yaml --to istio > istio.yaml     print VirtualServices and Gateways
  $ inmesh convert -f mesh.d --to gateway-api -o json         the same for programs`;
