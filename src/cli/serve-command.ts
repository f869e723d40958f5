import type { Command } from 'commander';
import { toDuration, toPort } from './arguments.js';
import type { Done } from './done.js';
import type { Output } from './output.js';
import { withPrintOptions, withServingOptions } from './serving-options.js';

/** Adds `serve`. */
export function addServe(program: Command, output: Output, done: Done): void {
  withPrintOptions(
    withServingOptions(program.command('serve'))
      .description('Run the control plane for other machines: every caller has to prove who it is.')
      .requiredOption(
        '-d, --data <dir>',
        'where state is kept: root certificate and key, join tokens, audit log',
      )
      .option(
        '-c, --config <path...>',
        'file or folder of Istio YAML, watched (default: mesh.yaml and mesh.d if there), or a module that exports a mesh, run once',
      )
      .option('--host <address>', 'IP address of the secure port', '0.0.0.0')
      .option('--name <name...>', 'names and addresses that clients call it by')
      .option('--secure-port <port>', 'xDS and CA over TLS; 0 = any free', toPort, 15_012)
      .option('--http-port <port>', 'JSON status API, on loopback; 0 = any free', toPort, 15_014)
      .option('--metrics-port <port>', 'metrics and health, on --host; 0 = any free (default: none)', toPort)
      .option('--trust-domain <name>', 'SPIFFE trust domain', 'cluster.local')
      .option('--certificate-life <duration>', 'life of workload certificates (default: 24h)', toDuration)
      .option('--access <file>', 'JSON: { callers, admin }, as createControlPlane takes them')
      .option('--kubernetes', 'take service-account tokens, by the API server of this cluster', false),
  )
    .addHelpText('after', SERVE_EXAMPLES)
    .action(async (options) => {
      const { serve } = await import('./serve.js');
      done(
        await serve(
          {
            config: options.config ?? [],
            data: options.data,
            host: options.host,
            names: options.name ?? [],
            securePort: options.securePort,
            httpPort: options.httpPort,
            metricsPort: options.metricsPort,
            trustDomain: options.trustDomain,
            certificateLifeMs: options.certificateLife ?? 86_400_000,
            access: options.access,
            kubernetes: options.kubernetes,
            debounceMs: { quietMs: options.debounceAfter ?? 100, maxMs: options.debounceMax ?? 10_000 },
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

const SERVE_EXAMPLES = `
Examples:
  $ inmesh serve --data /var/lib/inmesh --name mesh.example.com
  $ inmesh token create --data /var/lib/inmesh --service-account reviews     a token for one workload
  $ INMESH_CONTROL_PLANE=mesh.example.com:15012 INMESH_CA_ROOT=root.pem INMESH_JOIN_TOKEN=... node reviews.js`;
