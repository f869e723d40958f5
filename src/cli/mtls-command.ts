import type { Command } from 'commander';
import { examples } from './config-commands.js';
import type { Done } from './done.js';
import { addMtlsSet } from './edit-commands.js';
import { formatOption } from './format-option.js';
import type { Output } from './output.js';
import { withPlaneOptions } from './plane-options.js';

/** Adds `mtls`. */
export function addMtls(program: Command, output: Output, done: Done): void {
  const command = program
    .command('mtls')
    .description('Who speaks mTLS, and who would be refused were PeerAuthentication STRICT.')
    .addHelpText('after', examples('mtls report', 'mtls check', 'mtls set STRICT -n shop --dry-run'));
  addMtlsSet(command, output, done);
  const descriptions = {
    report: 'Every workload with its mode, its identity and its callers without TLS.',
    check: 'What stands in the way of STRICT; exit code 1 when something does.',
  } as const;
  for (const name of ['report', 'check'] as const) {
    withPlaneOptions(command.command(name))
      .description(descriptions[name])
      .option('-n, --namespace <namespace>', 'only the workloads of this namespace (default: all)')
      .addOption(formatOption('table', 'json', 'yaml'))
      .addHelpText('after', examples(`mtls ${name}`, `mtls ${name} -n shop`, `mtls ${name} -o json`))
      .action(async (options) => {
        const { mtls } = await import('./mtls.js');
        const { controlPlane, namespace, tokenFile, caRoot, output: format } = options;
        done(await mtls({ command: name, controlPlane, namespace, tokenFile, caRoot, format }, output));
      });
  }
}
