import type { Command } from 'commander';
import type { Done } from './done.js';
import type { Output } from './output.js';

/** Adds `run`. */
export function addRun(program: Command, output: Output, done: Done): void {
  program
    .command('run')
    .description('Start a program as a member of the mesh: its environment makes createMesh() join.')
    .requiredOption('-s, --service <name>', 'name of the service')
    .option('-V, --service-version <version>', 'version of the service')
    .option('-n, --namespace <namespace>', 'namespace (default: default)')
    .option('--service-account <name>', 'service account, part of the SPIFFE ID (default: default)')
    .option('-l, --label <key=value...>', 'further labels')
    .option('--locality <region/zone/subzone>', 'where this instance is')
    .option('--control-plane <host:port>', 'xDS of the control plane (default: 127.0.0.1:15010)')
    .option('--cache-dir <dir>', 'last-known-good cache; "off" for none')
    .argument('<command...>', 'program and its arguments, after --')
    .passThroughOptions()
    .addHelpText('after', RUN_EXAMPLES)
    .action(async (command: string[], options) => {
      const { run } = await import('./run.js');
      done(
        await run(
          {
            service: options.service,
            version: options.serviceVersion,
            namespace: options.namespace,
            serviceAccount: options.serviceAccount,
            labels: options.label ?? [],
            locality: options.locality,
            controlPlane: options.controlPlane,
            cacheDir: options.cacheDir,
            command,
          },
          output,
        ),
      );
    });
}

const RUN_EXAMPLES = `
Examples:
  $ inmesh run -s reviews -V v1 -- node reviews.js
  $ inmesh run -s ratings -V v2 -n bookinfo --service-account bookinfo-ratings -- node ratings.js
  $ inmesh run -s web --control-plane 127.0.0.1:25010 -- npm start`;
