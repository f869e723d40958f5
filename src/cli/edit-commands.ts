import { type Command, InvalidArgumentError } from 'commander';
import { parseDuration } from '../model/duration.js';
import { MeshError } from '../runtime/errors.js';
import { dryRunOption, examples, toWhole } from './config-commands.js';
import type { Done } from './done.js';
import type { ObjectEdit } from './edit.js';
import type { EditOptions } from './edit-command.js';
import { withFileOption } from './file-option.js';
import { formatOption } from './format-option.js';
import type { ShownObject } from './objects.js';
import type { Output } from './output.js';
import { withPlaneOptions } from './plane-options.js';
import { mtlsEdits, routeEdits, shiftEdits } from './traffic-edits.js';

type EditsOf = (context: {
  readonly objects: readonly ShownObject[];
  readonly namespace: string;
}) => readonly ObjectEdit[];

/** Adds `shift`, `retry`, `timeout` and `fault`. */
export function addEdits(program: Command, output: Output, done: Done): void {
  const run = editor(output, done);
  addShift(program, run, output);
  withEditOptions(program.command('retry'))
    .description('Set how often requests to a service are tried again, and print the YAML that says so.')
    .argument('<service>', 'the service')
    .argument('<attempts>', 'tries after the first; 0 = none', toWhole)
    .option('--on <conditions>', "Envoy's conditions, with commas between")
    .option('--per-try-timeout <duration>', 'longest time of one try')
    .addHelpText(
      'after',
      examples(
        'retry reviews 3',
        'retry reviews 2 --on 5xx,reset --per-try-timeout 500ms',
        'retry reviews 0 -f mesh.yaml',
      ),
    )
    .action((service: string, attempts: number, options) =>
      run(options, (context) =>
        routeEdits(
          { ...context, service },
          {
            retries: {
              attempts,
              ...(options.on !== undefined && { retryOn: options.on }),
              ...(options.perTryTimeout !== undefined && { perTryTimeout: options.perTryTimeout }),
            },
          },
        ),
      ),
    );
  withEditOptions(program.command('timeout'))
    .description('Set the longest time of requests to a service, and print the YAML that says so.')
    .argument('<service>', 'the service')
    .argument('<duration>', 'such as 2s or 500ms; 0s = none')
    .addHelpText(
      'after',
      examples(
        'timeout reviews 2s',
        'timeout reviews 500ms -n shop --dry-run',
        'timeout reviews 0s -f mesh.yaml',
      ),
    )
    .action((service: string, timeout: string, options) =>
      // Istio's routes have no limit unless they say one, and may not say 0s.
      run(options, (context) =>
        routeEdits({ ...context, service }, { timeout: parseDuration(timeout) === 0 ? undefined : timeout }),
      ),
    );
  addFault(program, run);
}

type Run = ReturnType<typeof editor>;

function addShift(program: Command, run: Run, output: Output): void {
  withEditOptions(program.command('shift'))
    .description('Send shares of the requests of a service to its versions, and print the YAML that says so.')
    .argument('<service>', 'the service')
    .argument('<version=percent...>', 'shares that come to 100', toShare)
    .addHelpText(
      'after',
      examples(
        'shift reviews v1=90 v2=10',
        'shift reviews v2=100 -n shop',
        'shift reviews v1=50 v2=50 -f mesh.yaml',
      ),
    )
    .action((service: string, shares: readonly (readonly [string, number])[], options) =>
      run(
        options,
        (context) => shiftEdits({ ...context, service }, shares),
        async () => {
          const { tellEmptySubsets } = await import('./empty-subsets.js');
          await tellEmptySubsets({ ...options, service }, shares, output);
        },
      ),
    );
}

function addFault(program: Command, run: Run): void {
  withEditOptions(program.command('fault'))
    .description('Delay or abort requests to a service, and print the YAML that says so.')
    .argument('<service>', 'the service')
    .option('--abort <status>', 'answered with that status', toWhole)
    .option('--delay <duration>', 'held for so long')
    .option('--percent <number>', 'part of the requests', Number, 100)
    .option('--clear', 'no faults any more')
    .addHelpText(
      'after',
      examples('fault reviews --abort 503 --percent 10', 'fault reviews --delay 2s', 'fault reviews --clear'),
    )
    .action((service: string, options) => {
      const percentage = { value: options.percent };
      const fault = {
        ...(options.abort !== undefined && { abort: { httpStatus: options.abort, percentage } }),
        ...(options.delay !== undefined && { delay: { fixedDelay: options.delay, percentage } }),
      };
      if (options.clear !== true && Object.keys(fault).length === 0)
        throw new MeshError('INMESH_OPTION_INVALID', 'no fault was named', {
          hint: 'Say --abort, --delay or --clear',
        });
      return run(options, (context) =>
        routeEdits({ ...context, service }, { fault: options.clear === true ? undefined : fault }),
      );
    });
}

/** Adds `mtls set` to `mtls`. */
export function addMtlsSet(mtls: Command, output: Output, done: Done): void {
  const run = editor(output, done);
  withEditOptions(mtls.command('set'))
    .description(
      'Set the mode of mTLS of a namespace (istio-system = the whole mesh), and print the YAML that says so.',
    )
    .addArgument(
      mtls.createArgument('<mode>', 'what workloads accept').choices(['STRICT', 'PERMISSIVE', 'DISABLE']),
    )
    .addHelpText(
      'after',
      examples(
        'mtls set STRICT -n shop',
        'mtls set PERMISSIVE -n istio-system',
        'mtls set STRICT -f mesh.yaml --dry-run',
      ),
    )
    .action((mode: string, options) => run(options, ({ namespace }) => mtlsEdits(namespace, mode)));
}

function withEditOptions(command: Command): Command {
  return withFileOption(
    withPlaneOptions(command),
    'files or folders that are edited, in place of the control plane',
  )
    .option('-n, --namespace <namespace>', 'namespace of the service', 'default')
    .option('-m, --message <text>', 'for the history')
    .addOption(dryRunOption())
    .addOption(formatOption('yaml', 'json'));
}

function editor(output: Output, done: Done) {
  return async (
    options: Omit<EditOptions, 'format'> & { readonly output: 'yaml' | 'json' },
    editsOf: EditsOf,
    /** What there is to tell once the edit is in force. */
    inForce?: () => Promise<void>,
  ) => {
    const [{ edit }, { isDryRun }] = await Promise.all([import('./edit-command.js'), import('./changes.js')]);
    const { namespace, file } = options;
    const code = await edit(
      (objects) => editsOf({ objects, namespace }),
      { ...options, format: options.output },
      output,
    );
    if (code === 0 && file === undefined && !isDryRun(options)) await inForce?.();
    done(code);
  };
}

function toShare(
  text: string,
  before: readonly (readonly [string, number])[] = [],
): readonly (readonly [string, number])[] {
  const at = text.lastIndexOf('=');
  const weight = Number(text.slice(at + 1).replace(/%$/, ''));
  if (at < 1 || !Number.isInteger(weight) || weight < 0 || weight > 100)
    throw new InvalidArgumentError('Write version=percent, such as v2=10.');
  return [...before, [text.slice(0, at), weight]];
}
