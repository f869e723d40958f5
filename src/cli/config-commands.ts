import { type Command, InvalidArgumentError, Option } from 'commander';
import { collect } from './collect.js';
import type { Done } from './done.js';
import { needFile, withFileOption } from './file-option.js';
import { formatOption } from './format-option.js';
import type { Output } from './output.js';
import { withPlaneOptions } from './plane-options.js';

/** Examples at the end of a help. */
export function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  $ inmesh ${line}`).join('\n')}`;
}

/** Options of commands that read objects. */
export function withQueryOptions(command: Command): Command {
  return withFileOption(withPlaneOptions(command), 'files or folders, in place of a control plane')
    .option('-n, --namespace <namespace>', 'only that namespace (default: all)')
    .option('-A, --all-namespaces', 'all namespaces')
    .option(
      '-l, --selector <labels>',
      'only objects with the labels: a=b, a!=b, a, !a, a in (b,c); may be repeated',
      collect,
    );
}

/** Options of commands that change objects. */
export function withChangeOptions(command: Command): Command {
  return withPlaneOptions(command)
    .addOption(dryRunOption())
    .option('-m, --message <text>', 'for the history')
    .option('--confirm', 'also when it removes most of what is in force')
    .addOption(formatOption('table', 'json', 'yaml', 'name'));
}

/** Who looks at a change that is not made. `--dry-run` alone is the control plane. */
export function dryRunOption(): Option {
  return new Option(
    '--dry-run [where]',
    'tell what would change, and change nothing: server asks the control plane, client looks at the files alone',
  )
    .choices(['server', 'client', 'none'])
    .preset('server')
    .default('none');
}

/** A whole number from 0. */
export function toWhole(text: string): number {
  const value = text === '' ? Number.NaN : Number(text);
  if (Number.isInteger(value) && value >= 0) return value;
  throw new InvalidArgumentError('Write a whole number from 0.');
}

/** Adds `get`, `describe` and `export`. */
export function addReading(program: Command, output: Output, done: Done): void {
  withQueryOptions(program.command('get'))
    .description('List the objects of a kind, or show one.')
    .argument(
      '[kind]',
      'VirtualService, virtualservices or vs; several with commas between; all = every kind',
    )
    .argument('[names...]', 'some of them; kind/name will do, too')
    .option('-w, --watch', 'go on, and print what changes')
    .option(
      '--field-selector <fields>',
      'only objects with metadata.name=a or metadata.namespace!=b; several with commas between',
      collect,
    )
    .option('--sort-by <expression>', 'a jsonpath by which they are in order, such as .metadata.name')
    .option('--show-labels', 'labels in a column')
    .option('-L, --label-columns <labels>', 'a column for each of these labels', collect)
    .option('--no-headers', 'no heads of columns')
    .addOption(formatOption('table', 'wide', 'json', 'yaml', 'name'))
    .addHelpText(
      'after',
      examples(
        'get vs',
        'get vs/reviews -o yaml',
        'get all -f mesh.d -o name',
        'get vs -o jsonpath=\'{range .items[*]}{.metadata.name}{"\\n"}{end}\'',
        'get vs,dr --sort-by .metadata.name -o custom-columns=NAME:.metadata.name,HOSTS:.spec.hosts',
      ),
    )
    .action(async (kind: string | undefined, names: readonly string[], options) => {
      const { get } = await import('./get.js');
      done(await get([kind ?? 'all', ...names], { ...options, format: options.output }, output));
    });
  withQueryOptions(program.command('describe'))
    .description('Tell of an object or service: what refers to it, what it leads to, who has it.')
    .argument('<kind>', 'a kind; of a Service also endpoints, subsets, routes, policies and mTLS')
    .argument('[names...]', 'some of them; kind/name will do, too')
    .addOption(formatOption('table', 'json', 'yaml'))
    .addHelpText(
      'after',
      examples('describe svc reviews', 'describe vs/reviews', 'describe svc reviews -f mesh.yaml -o json'),
    )
    .action(async (kind: string, names: readonly string[], options) => {
      const { describe } = await import('./describe.js');
      done(await describe([kind, ...names], { ...options, format: options.output }, output));
    });
  withQueryOptions(program.command('export'))
    .description('Print all objects, as they would be applied again.')
    .addOption(formatOption('yaml', 'json'))
    .addHelpText(
      'after',
      examples('export > mesh.yaml', 'export -n shop -o json', 'export -f mesh.d > one.yaml'),
    )
    .action(async (options) => {
      const { exportObjects } = await import('./get.js');
      done(await exportObjects({ ...options, format: options.output }, output));
    });
}

/** Adds `apply`, `delete`, `rollback` and `confirm`. */
export function addChanging(program: Command, output: Output, done: Done): void {
  const command = withFileOption(withChangeOptions(program.command('apply')), 'files or folders (needed)');
  command
    .description('Create or replace the objects of files: all of them, or none.')
    .option('-n, --namespace <namespace>', 'of objects that name none')
    .option('--if-revision <revision>', 'only when the configuration still has this revision', toWhole)
    .addHelpText(
      'after',
      examples(
        'apply -f mesh.yaml',
        'apply -f mesh.d --dry-run',
        'apply -f - -m "canary to 10 %" < canary.yaml',
      ),
    )
    .action(async (options) => {
      needFile(command, options.file);
      const { apply } = await import('./apply.js');
      done(await apply({ ...options, format: options.output }, output));
    });
  withFileOption(withChangeOptions(program.command('delete')), 'the objects that stand there')
    .description('Delete objects: those of files, or some of a kind by their names.')
    .argument('[kind]', 'a kind, or kind/name')
    .argument('[names...]', 'the names')
    .option('--ignore-not-found', 'what is not there is no error')
    .option('-n, --namespace <namespace>', 'namespace of the objects (default: default)')
    .addHelpText(
      'after',
      examples('delete vs/reviews', 'delete dr reviews -n shop --dry-run', 'delete -f canary.yaml'),
    )
    .action(async (kind: string | undefined, names: readonly string[], options) => {
      const { remove } = await import('./apply.js');
      done(
        await remove(
          kind === undefined ? [] : [kind, ...names],
          { ...options, format: options.output },
          output,
        ),
      );
    });
  withChangeOptions(program.command('rollback'))
    .description('Make objects what they were in a revision; it is a new revision.')
    .argument('<revision>', 'one of inmesh history', toWhole)
    .addHelpText(
      'after',
      examples('rollback 12', 'rollback 12 --dry-run', 'rollback 12 -m "canary failed" -o json'),
    )
    .action(async (revision: number, options) => {
      const { rollback } = await import('./history.js');
      done(await rollback(revision, { ...options, format: options.output }, output));
    });
  withPlaneOptions(program.command('confirm'))
    .description('Take into force the change that is held back because it removes so much at once.')
    .addOption(formatOption('table', 'json', 'yaml', 'name'))
    .addHelpText(
      'after',
      examples(
        'confirm',
        'confirm -o json',
        'confirm --control-plane mesh.example.com:15014 --ca-root root.pem',
      ),
    )
    .action(async (options) => {
      const { confirm } = await import('./history.js');
      done(await confirm({ ...options, format: options.output }, output));
    });
}

/** Adds `diff` and `history`. */
export function addComparing(program: Command, output: Output, done: Done): void {
  withQueryOptions(program.command('diff'))
    .description(
      'Show what files would change, or what changed between revisions. Exit code 1: there is a difference.',
    )
    .option('--against <path>', 'other files, in place of a control plane; may be repeated', collect)
    .option('--from <revision>', 'without files: the older revision (default: the one before)', toWhole)
    .option('--to <revision>', 'without files: the newer one (default: the one in force)', toWhole)
    .option('--resources', 'the xDS resources that would change, too')
    .option(
      '--requests <file>',
      'recorded requests (lines of JSON, an access log of Envoy, a HAR): those that would be treated otherwise',
    )
    .addOption(formatOption('table', 'json', 'yaml', 'name'))
    .addHelpText(
      'after',
      examples(
        'diff -f mesh.yaml',
        'diff --from 11 --to 12',
        'diff -f mesh.yaml --resources --requests access.jsonl',
      ),
    )
    .action(async (options) => {
      const { diff } = await import('./diff.js');
      done(await diff({ ...options, format: options.output }, output));
    });
  withPlaneOptions(program.command('history'))
    .description('List the last revisions of the configuration, newest first.')
    .option('--limit <count>', 'so many at most', toWhole, 20)
    .addOption(formatOption('table', 'wide', 'json', 'yaml', 'name'))
    .addHelpText('after', examples('history', 'history -o wide', 'history --limit 1 -o json'))
    .action(async (options) => {
      const { history } = await import('./history.js');
      done(await history({ ...options, format: options.output }, output));
    });
}
