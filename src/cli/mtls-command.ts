import { type Command, Option } from 'commander';
import type { Done } from './done.js';
import { addMtlsSet } from './edit-commands.js';
import type { Output } from './output.js';

/** Adds `mtls`. */
export function addMtls(program: Command, output: Output, done: Done): void {
  const command = program
    .command('mtls')
    .description('Who speaks mTLS, and who would be refused were PeerAuthentication STRICT.');
  addMtlsSet(command, output, done);
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
