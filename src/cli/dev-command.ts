import type { Command } from 'commander';
import { toDuration, toPort } from './arguments.js';
import type { Done } from './done.js';
import type { Output } from './output.js';
import { withPrintOptions, withServingOptions } from './serving-options.js';

/** Adds `dev`. */
export function addDev(program: Command, output: Output, done: Done): void {
  withPrintOptions(
    withServingOptions(program.command('dev'))
      .description(
        'Run the control plane in this process: xDS, certificate authority, registry. Loopback only, no token.',
      )
      .option(
        '-c, --config <path...>',
        'file or folder of Istio YAML, watched (default: mesh.yaml and mesh.d if there), or a module that exports a mesh',
      )
      .option('-d, --data <dir>', 'keep state there: the root certificate and its key (default: in memory)')
      .option('-p, --port <port>', 'xDS and CA, plaintext on loopback; 0 = any free', toPort, 15_010)
      .option('--secure-port <port>', 'xDS and CA over mTLS; 0 = any free', toPort, 15_012)
      .option('--http-port <port>', 'JSON status API; 0 = any free', toPort, 15_014)
      .option('--trust-domain <name>', 'SPIFFE trust domain', 'cluster.local')
      .option(
        '--certificate-life <duration>',
        'life of workload certificates, e.g. 24h, 90s (default: 24h)',
        toDuration,
      ),
  )
    .addHelpText('after', DEV_EXAMPLES)
    .action(async (options) => {
      const { dev } = await import('./dev.js');
      done(
        await dev(
          {
            config: options.config ?? [],
            data: options.data,
            port: options.port,
            securePort: options.securePort,
            httpPort: options.httpPort,
            trustDomain: options.trustDomain,
            certificateLifeMs: options.certificateLife ?? 86_400_000,
            debounceMs: {
              quietMs: options.debounceAfter ?? 100,
              maxMs: options.debounceMax ?? 10_000,
            },
            pushThrottle: options.pushThrottle,
            massRemoval: options.massRemoval,
            logLevel: options.logLevel,
            authority: options,
            format: options.output,
          },
          output,
        ),
      );
    });
}

const DEV_EXAMPLES = `
Examples:
  $ inmesh dev                                    control plane on 15010, 15012 and 15014
  $ inmesh dev --config mesh.yaml --config routes/ watch a file and a folder
  $ inmesh dev --port 0 --secure-port 0 --http-port 0 -o json   free ports, printed as JSON`;
