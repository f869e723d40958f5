import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { parseDuration } from '../model/duration.js';
import { MeshError } from '../runtime/errors.js';
import { addAuthz, addCompileRbac, addMigrate } from './authorization-commands.js';
import { addCa } from './ca-command.js';
import { type Output, terminalOutput, version } from './output.js';
import { withServingOptions } from './serving-options.js';

/** Exit codes: 0 ok, 1 findings (or the program's own), 2 could not run. */
const COULD_NOT_RUN = 2;

/** Runs one command line; returns the exit code. */
export async function main(args: readonly string[], output: Output = terminalOutput()): Promise<number> {
  let code = 0;
  const program = createProgram(output, (result) => {
    code = result;
  });
  try {
    await program.parseAsync(args, { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : COULD_NOT_RUN;
    output.err(
      `${MeshError.is(error) ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    );
    return COULD_NOT_RUN;
  }
}

function createProgram(output: Output, done: (code: number) => void): Command {
  const program = new Command('inmesh')
    .description('The service mesh that lives inside the Node process.')
    .version(version, '-v, --version')
    // Options after the program's name belong to the program.
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({ writeOut: output.out, writeErr: output.err });
  addDev(program, output, done);
  addServe(program, output, done);
  addToken(program, output, done);
  addRun(program, output, done);
  addCompile(program, output, done);
  addMtls(program, output, done);
  addAuthz(program, output, done);
  addMigrate(program, output, done);
  addCa(program, output, done);
  return program;
}

function addDev(program: Command, output: Output, done: (code: number) => void): void {
  withServingOptions(program.command('dev'))
    .description(
      'Run the control plane in this process: xDS, certificate authority, registry. Loopback only, no token.',
    )
    .option(
      '-c, --config <path...>',
      'file or folder of Istio YAML, watched (default: mesh.yaml and mesh.d if there)',
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
    )
    .addOption(
      new Option('--log-level <level>', 'what goes to stderr')
        .choices(['debug', 'info', 'warn', 'error'])
        .default('warn'),
    )
    .addOption(
      new Option('-o, --output <format>', 'how the addresses are printed')
        .choices(['text', 'json'])
        .default('text'),
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
            logLevel: options.logLevel,
            authority: options,
            format: options.output,
          },
          output,
        ),
      );
    });
}

function addServe(program: Command, output: Output, done: (code: number) => void): void {
  withServingOptions(program.command('serve'))
    .description('Run the control plane for other machines: every caller has to prove who it is.')
    .requiredOption(
      '-d, --data <dir>',
      'where state is kept: root certificate and key, join tokens, audit log',
    )
    .option(
      '-c, --config <path...>',
      'file or folder of Istio YAML, watched (default: mesh.yaml and mesh.d if there)',
    )
    .option('--host <address>', 'IP address of the secure port', '0.0.0.0')
    .option('--name <name...>', 'names and addresses that clients call it by')
    .option('--secure-port <port>', 'xDS and CA over TLS; 0 = any free', toPort, 15_012)
    .option('--http-port <port>', 'JSON status API, on loopback; 0 = any free', toPort, 15_014)
    .option('--metrics-port <port>', 'metrics and health, on --host; 0 = any free (default: none)', toPort)
    .option('--trust-domain <name>', 'SPIFFE trust domain', 'cluster.local')
    .option('--certificate-life <duration>', 'life of workload certificates (default: 24h)', toDuration)
    .option('--access <file>', 'JSON: { callers, admin }, as createControlPlane takes them')
    .option('--kubernetes', 'take service-account tokens, by the API server of this cluster', false)
    .addOption(
      new Option('--log-level <level>', 'what goes to stderr')
        .choices(['debug', 'info', 'warn', 'error'])
        .default('warn'),
    )
    .addOption(
      new Option('-o, --output <format>', 'how the addresses are printed')
        .choices(['text', 'json'])
        .default('text'),
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
            logLevel: options.logLevel,
            authority: options,
            format: options.output,
          },
          output,
        ),
      );
    });
}

function addToken(program: Command, output: Output, done: (code: number) => void): void {
  program
    .command('token')
    .description('Tokens by which workloads join; each is good for one certificate.')
    .command('create')
    .description('Make a token and print it; it is shown once.')
    .requiredOption('-d, --data <dir>', 'the folder of the control plane')
    .requiredOption('--service-account <name>', 'service account of the workload')
    .option('-n, --namespace <namespace>', 'namespace of the workload', 'default')
    .option('--trust-domain <name>', 'SPIFFE trust domain', 'cluster.local')
    .option('--ttl <duration>', 'how long it may be used (default: 10m)', toDuration)
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

function addRun(program: Command, output: Output, done: (code: number) => void): void {
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

function addCompile(program: Command, output: Output, done: (code: number) => void): void {
  const command = program.command('compile');
  addCompileRbac(command, output, done);
  command
    .description('Show what documents come to for one client: xDS resources in the JSON of Envoy.')
    .option('-f, --file <path...>', 'file or folder of Istio YAML (needed)')
    .addOption(new Option('--profile <profile>', 'for whom').choices(['sdk', 'grpc', 'envoy']).default('sdk'))
    .option('-n, --namespace <namespace>', 'namespace of the client', 'default')
    .option('-l, --label <key=value...>', 'labels of the client')
    .option('--proxy-namespace <namespace>', 'the same as --namespace')
    .option('--proxy-labels <key=value...>', 'the same as --label')
    .option('--proxy-port <port>', "port of an Envoy's HTTP proxy; 0 = none (default: 15001)", toPort)
    .option('--port-listeners', 'an Envoy listens on the port of each service, too', false)
    .addOption(new Option('-o, --output <format>', 'how it is printed').choices(['json']).default('json'))
    .addHelpText('after', COMPILE_EXAMPLES)
    .action(async (options) => {
      if (options.file === undefined)
        command.error("error: required option '-f, --file <path...>' not specified");
      const { compile } = await import('./compile.js');
      done(
        await compile(
          {
            files: options.file,
            profile: options.profile,
            namespace: options.proxyNamespace ?? options.namespace,
            labels: [...(options.label ?? []), ...(options.proxyLabels ?? [])],
            proxyPort: options.proxyPort,
            portListeners: options.portListeners,
          },
          output,
        ),
      );
    });
}

function addMtls(program: Command, output: Output, done: (code: number) => void): void {
  const command = program
    .command('mtls')
    .description('Who speaks mTLS, and who would be refused were PeerAuthentication STRICT.');
  const descriptions = {
    report: 'Every workload with its mode, its identity and its callers without TLS.',
    check: 'What stands in the way of STRICT; exit code 1 when something does.',
  } as const;
  for (const name of ['report', 'check'] as const) {
    command
      .command(name)
      .description(descriptions[name])
      .option('--control-plane <host:port>', 'status API of the control plane', '127.0.0.1:15014')
      .option('--token-file <file>', 'bearer token for it, e.g. admin.token of its data folder')
      .option('--ca-root <file>', 'PEM of the roots of the mesh: it is asked over TLS')
      .option('-n, --namespace <namespace>', 'only the workloads of this namespace (default: all)')
      .addOption(
        new Option('-o, --output <format>', 'how it is printed').choices(['text', 'json']).default('text'),
      )
      .action(async (options) => {
        const { mtls } = await import('./mtls.js');
        const { controlPlane, namespace, tokenFile, caRoot, output: format } = options;
        done(await mtls({ command: name, controlPlane, namespace, tokenFile, caRoot, format }, output));
      });
  }
}

function toPort(text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw new InvalidArgumentError('A port is a number from 0 to 65535.');
}

function toDuration(text: string): number {
  const ms = parseDuration(text);
  if (ms !== undefined && ms >= 1000) return ms;
  throw new InvalidArgumentError('Write a duration such as 24h, 90s or 10m, at least 1s.');
}

const DEV_EXAMPLES = `
Examples:
  $ inmesh dev                                    control plane on 15010, 15012 and 15014
  $ inmesh dev --config mesh.yaml --config routes/ watch a file and a folder
  $ inmesh dev --port 0 --secure-port 0 --http-port 0 -o json   free ports, printed as JSON`;

const SERVE_EXAMPLES = `
Examples:
  $ inmesh serve --data /var/lib/inmesh --name mesh.example.com
  $ inmesh token create --data /var/lib/inmesh --service-account reviews     a token for one workload
  $ INMESH_CONTROL_PLANE=mesh.example.com:15012 INMESH_CA_ROOT=root.pem INMESH_JOIN_TOKEN=... node reviews.js`;

const RUN_EXAMPLES = `
Examples:
  $ inmesh run -s reviews -V v1 -- node reviews.js
  $ inmesh run -s ratings -V v2 -n bookinfo --service-account bookinfo-ratings -- node ratings.js
  $ inmesh run -s web --control-plane 127.0.0.1:25010 -- npm start`;

const COMPILE_EXAMPLES = `
Examples:
  $ inmesh compile -f mesh.yaml                    what members of the mesh receive
  $ inmesh compile -f mesh.yaml --profile grpc     what gRPC's own clients receive, and what they do not follow
  $ inmesh compile -f mesh.d --profile envoy -l istio=ingressgateway   what that gateway receives`;
