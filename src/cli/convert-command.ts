import { type Command, Option } from 'commander';
import type { Done } from './done.js';
import { needFile, withFileOption } from './file-option.js';
import { formatOption } from './format-option.js';
import type { Output } from './output.js';

/** Adds `convert`. */
export function addConvert(program: Command, output: Output, done: Done): void {
  const command = withFileOption(program.command('convert'), 'files or folders of documents (needed)');
  command
    .description(
      "Convert documents: Istio's VirtualServices and Gateways to the Gateway API, or back, or all of them to TypeScript (inmesh/config). What has no equal goes to stderr; exit code 1: there is some.",
    )
    .addOption(
      new Option('--to <kinds>', 'what they become')
        .choices(['gateway-api', 'istio', 'ts'])
        .makeOptionMandatory(),
    )
    .addOption(formatOption('yaml', 'json'))
    .addHelpText('after', EXAMPLES)
    .action(async (options) => {
      needFile(command, options.file);
      if (options.to === 'ts') {
        if (options.output !== 'yaml')
          command.error("error: what is converted to ts is a module: there is no '-o' for it");
        const { convertToModule } = await import('./convert-to-module.js');
        done(await convertToModule(options.file, output));
        return;
      }
      const { convert } = await import('./convert.js');
      done(await convert(options, output));
    });
}

const EXAMPLES = `
Examples:
  $ inmesh convert -f mesh.yaml --to gateway-api              print HTTPRoutes, Gateways and what they need
  $ inmesh convert -f routes.yaml --to istio > istio.yaml     print VirtualServices and Gateways
  $ inmesh convert -f mesh.d --to gateway-api -o json         the same for programs
  $ inmesh convert -f mesh.yaml --to ts > mesh.config.ts      print a module that exports the same mesh`;
