import type { Command } from 'commander';
import type { Done } from './done.js';
import type { Output } from './output.js';

/** Adds `schema`. */
export function addSchema(program: Command, output: Output, done: Done): void {
  program
    .command('schema')
    .description('Print the JSON Schema of a kind, of all kinds in one (all), or the names of the kinds.')
    .argument('[kind]', 'a kind, its plural or its short name; all for one schema of every kind')
    .addHelpText('after', EXAMPLES)
    .action(async (kind: string | undefined) => {
      const { schema } = await import('./schema.js');
      done(schema(kind, output));
    });
}

const EXAMPLES = `
Examples:
  $ inmesh schema all > inmesh.schema.json        for an editor: completion and mistakes while typing
  $ inmesh schema vs                              the fields of VirtualService
  $ inmesh schema                                 the kinds`;
