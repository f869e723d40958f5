import { type Command, Option } from 'commander';
import { toDuration, toPort } from './arguments.js';
import { examples, toWhole } from './config-commands.js';
import type { Done } from './done.js';
import { formatOption } from './format-option.js';
import type { Output } from './output.js';
import { withPlaneOptions } from './plane-options.js';

const TYPES = ['clusters', 'listeners', 'routes', 'endpoints', 'secrets', 'bootstrap', 'all'] as const;

/** Adds `status`, `proxy-config`, `wait` and `check`. */
export function addStatus(program: Command, output: Output, done: Done): void {
  withPlaneOptions(program.command('status'))
    .description(
      'Show how far each client is or, resource by resource, what one of them holds against what it would be sent now. Exit code 1: somebody is behind, or a change was refused.',
    )
    .argument('[client]', 'a client: its id or a part of it, its service or service-version')
    .option('-n, --namespace <namespace>', 'only clients of that namespace (default: all)')
    .option('-A, --all-namespaces', 'all namespaces')
    .option('-w, --watch', 'go on, and print what changes')
    .addOption(formatOption('table', 'wide', 'json', 'yaml', 'name'))
    .addHelpText('after', examples('status', 'status -o wide', 'status reviews-v2 -o json'))
    .action(async (client: string | undefined, options) => {
      const { status } = await import('./status.js');
      done(await status(client, { ...options, format: options.output }, output));
    });
  addProxyConfig(program, output, done);
  withPlaneOptions(program.command('wait'))
    .description(
      'Wait until every connected client has accepted a revision. Exit code 1: not all did in time.',
    )
    .addOption(
      new Option('--applied [revision]', 'the revision (default: the one in force)').argParser(toWhole),
    )
    .addOption(new Option('--timeout <duration>', 'how long').argParser(toDuration).default(10_000, '10s'))
    .addOption(formatOption('table', 'json', 'yaml'))
    .addHelpText(
      'after',
      examples(
        'wait --applied',
        'wait --applied 12 --timeout 1m',
        'apply -f mesh.yaml && inmesh wait --applied',
      ),
    )
    .action(async (options) => {
      const { waitApplied } = await import('./wait-applied.js');
      const revision = typeof options.applied === 'number' ? options.applied : undefined;
      done(await waitApplied({ ...options, revision, format: options.output }, output));
    });
  withPlaneOptions(program.command('check'))
    .description('Look whether control plane, configuration, clients and certificates are as they should be.')
    .addOption(formatOption('table', 'json', 'yaml'))
    .addHelpText(
      'after',
      examples(
        'check',
        'check -o json',
        'check --control-plane mesh.example.com:15014 --ca-root root.pem --token-file token',
      ),
    )
    .action(async (options) => {
      const { check } = await import('./check.js');
      done(await check({ ...options, format: options.output }, output));
    });
}

function addProxyConfig(program: Command, output: Output, done: Done): void {
  const command = program
    .command('proxy-config')
    .alias('pc')
    .description('Show what a client was sent, and whether it took it.')
    .addHelpText(
      'after',
      examples(
        'proxy-config clusters reviews-v1',
        'pc all reviews-v1 -o json',
        'pc endpoints orders -o name',
      ),
    );
  for (const type of TYPES) {
    withFilters(withPlaneOptions(named(command, type)), type)
      .description(
        type === 'bootstrap'
          ? 'How the client finds its control plane.'
          : `Its ${type === 'all' ? 'whole configuration' : type}.`,
      )
      .argument('<client>', 'id of a client, or a part of it that only one has')
      .addOption(formatOption('table', 'wide', 'json', 'yaml', 'name'))
      .addHelpText(
        'after',
        examples(
          `proxy-config ${type} reviews-v1`,
          `pc ${type} reviews-v1 -o json`,
          `pc ${type} reviews-v1 -o yaml`,
        ),
      )
      .action(async (client: string, options) => {
        const { proxyConfig } = await import('./proxy-config.js');
        done(await proxyConfig({ type, client }, { ...options, format: options.output }, output));
      });
  }
}

/** istioctl's flags, each where it says something. */
function withFilters(command: Command, type: (typeof TYPES)[number]): Command {
  if (type === 'bootstrap') return command;
  command.option('--resource-name <name>', 'only the resource of that name');
  if (type === 'secrets') return command;
  command
    .option('--fqdn <host>', 'only those of that host')
    .option('--port <port>', 'only those of that port', toPort)
    .option('--subset <name>', 'only those of that subset')
    .option('--direction <direction>', 'only inbound or outbound ones');
  if (type === 'listeners' || type === 'endpoints')
    command.option('--address <address>', 'only those at that address');
  if (type === 'endpoints') command.option('--status <health>', 'only healthy, unhealthy, … ones');
  return command;
}

/** Also in istioctl's singular. */
function named(command: Command, type: (typeof TYPES)[number]): Command {
  const own = command.command(type);
  return type.endsWith('s') ? own.alias(type.slice(0, -1)) : own;
}
