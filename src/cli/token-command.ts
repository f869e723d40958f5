import type { Command } from 'commander';
import { toDuration } from './arguments.js';
import { examples } from './config-commands.js';
import type { Done } from './done.js';
import type { Output } from './output.js';

/** Adds `token`. */
export function addToken(program: Command, output: Output, done: Done): void {
  const lines = [
    'token create -d /var/lib/inmesh --service-account reviews',
    'token create -d /var/lib/inmesh --service-account cart -n shop --ttl 1h',
    'token create -d /var/lib/inmesh --service-account reviews > token',
  ];
  program
    .command('token')
    .description('Tokens by which workloads join; each is good for one certificate.')
    .addHelpText('after', examples(...lines))
    .command('create')
    .description('Make a token and print it; it is shown once.')
    .requiredOption('-d, --data <dir>', 'the folder of the control plane')
    .requiredOption('--service-account <name>', 'service account of the workload')
    .option('-n, --namespace <namespace>', 'namespace of the workload', 'default')
    .option('--trust-domain <name>', 'SPIFFE trust domain', 'cluster.local')
    .option('--ttl <duration>', 'how long it may be used (default: 10m)', toDuration)
    .addHelpText('after', examples(...lines))
    .action(async (options) => {
      const { createToken } = await import('./token.js');
      done(
        await createToken(
          {
            data: options.data,
            namespace: options.namespace,
            serviceAccount: options.serviceAccount,
            trustDomain: options.trustDomain,
            ttlMs: options.ttl,
          },
          output,
        ),
      );
    });
}
