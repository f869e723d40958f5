import { type Command, Option } from 'commander';
import { toPort } from './arguments.js';
import { addCompileRbac } from './authorization-commands.js';
import type { Done } from './done.js';
import { needFile, withFileOption } from './file-option.js';
import { formatOption } from './format-option.js';
import type { Output } from './output.js';

/** Adds `compile`. */
export function addCompile(program: Command, output: Output, done: Done): void {
  const command = program.command('compile');
  addCompileRbac(command, output, done);
  withFileOption(command, 'files or folders of Istio YAML (needed)')
    .description('Show what documents come to for one client: xDS resources in the JSON of Envoy.')
    .addOption(new Option('--profile <profile>', 'for whom').choices(['sdk', 'grpc', 'envoy']).default('sdk'))
    .option('-n, --namespace <namespace>', 'namespace of the client', 'default')
    .option('-l, --label <key=value...>', 'labels of the client')
    .option('--proxy-namespace <namespace>', 'the same as --namespace')
    .option('--proxy-labels <key=value...>', 'the same as --label')
    .addOption(
      new Option('--proxy-type <type>', 'what an Envoy is (default: by its labels)').choices([
        'sidecar',
        'router',
      ]),
    )
    .option('--proxy-ip <address>', 'where the client is (default: a gateway is where its services lead)')
    .option('--mesh-config <file>', "Istio's MeshConfig")
    .option(
      '--proxy-port <port>',
      "port of an Envoy's HTTP proxy; 0 = none (default: 15001, for a gateway 0)",
      toPort,
    )
    .option('--port-listeners', 'an Envoy listens on the port of each service, too', false)
    .addOption(formatOption('json'))
    .addHelpText('after', COMPILE_EXAMPLES)
    .action(async (options) => {
      needFile(command, options.file);
      const { compile } = await import('./compile.js');
      done(
        await compile(
          {
            files: options.file,
            profile: options.profile,
            namespace: options.proxyNamespace ?? options.namespace,
            labels: [...(options.label ?? []), ...(options.proxyLabels ?? [])],
            type: options.proxyType,
            address: options.proxyIp,
            meshConfig: options.meshConfig,
            proxyPort: options.proxyPort,
            portListeners: options.portListeners,
          },
          output,
        ),
      );
    });
}

const COMPILE_EXAMPLES = `
Examples:
  $ inmesh compile -f mesh.yaml                    what members of the mesh receive
  $ inmesh compile -f mesh.yaml --profile grpc     what gRPC's own clients receive, and what they do not follow
  $ inmesh compile -f mesh.d --profile envoy -l istio=ingressgateway   what that gateway receives`;
