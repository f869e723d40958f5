import type { Command } from 'commander';
import type { Done } from './done.js';
import { pathsOf, withFileOption } from './file-option.js';
import { formatOption } from './format-option.js';
import type { Output } from './output.js';

/** Adds `validate`. */
export function addValidate(program: Command, output: Output, done: Done): void {
  const command = program.command('validate');
  withFileOption(command, 'the same as the argument')
    .description(
      'Check documents each by itself: their fields and the rules of their kinds. Exit code 1: one of them is invalid.',
    )
    .argument(
      '[path...]',
      'files or folders of YAML or JSON, or modules that export a mesh; - is the standard input',
    )
    .option(
      '--strict',
      'what inmesh does not carry out, and references to what is not among the files, are errors, as for a control plane',
      false,
    )
    .addOption(formatOption('table', 'json', 'yaml', 'name'))
    .addHelpText('after', EXAMPLES)
    .action(async (paths: readonly string[], { file = [], recursive, strict, output: format }) => {
      const files: readonly string[] = [...file, ...(await pathsOf(paths, recursive))];
      if (files.length === 0) command.error("error: missing files: give some, or '-f, --file <path>'");
      const { validate } = await import('./validate.js');
      done(await validate({ files, strict, format }, output));
    });
}

const EXAMPLES = `
Examples:
  $ inmesh validate mesh.yaml routes/             every mistake with its place, and what was probably meant
  $ inmesh validate -f mesh.yaml -o json          the same for programs, as one JSON document
  $ kubectl get vs,dr -A -o yaml | inmesh validate --strict -`;
