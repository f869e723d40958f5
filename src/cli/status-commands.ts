import { type Command, Option } from 'commander';
import { toDuration } from './arguments.js';
import { examples, formatOption, toWhole } from './config-commands.js';
import type { Done } from './done.js';
import type { Output } from './output.js';
import { withPlaneOptions } from './plane-options.js';

const TYPES = ['clusters', 'listeners', 'routes', 'endpoints', 'secrets', 'bootstrap', 'all'] as const;

/** Adds `status`, `proxy-config`, `wait` and `check`. */
export function addStatus(program: Command, output: Output, done: Done): void {
  withPlaneOptions(program.command('status'))
    .description(
      'Show how far each client is, or what one of them lacks. Exit code 1: somebody is behind, or a change was refused.',
    )
    .argument('[client]', 'id of a client, or a part of it')
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
    .option('--timeout <duration>', 'how long (default: 10s)', toDuration, 10_000)
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
      const { waitApplied } = await import('./status.js');
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
    withPlaneOptions(command.command(type))
      .description(
        type === 'bootstrap'
          ? 'How the client finds its control plane.'
          : `Its ${type === 'all' ? 'whole configuration' : type}.`,
      )
      .argument('<client>', 'id of a client, or a part of it that only one has')
      .addOption(formatOption('table', 'json', 'yaml', 'name'))
      .addHelpText(
        'after',
        examples(
          `proxy-config ${type} reviews-v1`,
          `pc ${type} reviews-v1 -o json`,
          `pc ${type} reviews-v1 -o yaml`,
        ),
      )
      .action(async (client: string, options) => {
        const { proxyConfig } = await import('./status.js');
        done(await proxyConfig({ type, client }, { ...options, format: options.output }, output));
      });
  }
}
