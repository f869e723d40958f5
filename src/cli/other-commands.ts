import type { Command } from 'commander';
import { toPort } from './arguments.js';
import { collect } from './collect.js';
import { examples } from './config-commands.js';
import type { Done } from './done.js';
import { formatOption } from './format-option.js';
import type { Output } from './output.js';
import { withPlaneOptions } from './plane-options.js';

/** Adds `version`, `workload entry` and `bug-report`. */
export function addOthers(program: Command, output: Output, done: Done): void {
  withPlaneOptions(program.command('version'))
    .description('Tell the version of this program and, where one answers, of the control plane.')
    .addOption(formatOption('table', 'json', 'yaml'))
    .addHelpText(
      'after',
      examples('version', 'version -o json', 'version --control-plane mesh.example.com:15014'),
    )
    .action(async (options) => {
      const { showVersion } = await import('./version.js');
      done(await showVersion({ ...options, format: options.output }, output));
    });
  withPlaneOptions(program.command('bug-report'))
    .description(
      'Gather what helps to find a mistake, as one JSON document. No keys, tokens or values of Secrets are in it.',
    )
    .addOption(formatOption('json', 'yaml'))
    .addHelpText(
      'after',
      examples(
        'bug-report > report.json',
        'bug-report -o yaml',
        'bug-report --control-plane mesh.example.com:15014 --token-file token > report.json',
      ),
    )
    .action(async (options) => {
      const { bugReport } = await import('./bug-report.js');
      done(await bugReport({ ...options, format: options.output }, output));
    });
  addWorkload(program, output, done);
}

function addWorkload(program: Command, output: Output, done: Done): void {
  const command = program
    .command('workload')
    .description('Workloads that do not register themselves.')
    .addHelpText(
      'after',
      examples(
        'workload entry db --address 10.0.0.5',
        'workload entry db --address 10.0.0.5 --label app=db --apply',
        'workload entry db --address 10.0.0.5 -o json',
      ),
    );
  withPlaneOptions(command.command('entry'))
    .description('Print the WorkloadEntry of a workload, or apply it.')
    .argument('<name>', 'name of the entry')
    .requiredOption('--address <address>', 'where it is')
    .option('-n, --namespace <namespace>', 'its namespace', 'default')
    .option('-l, --label <key=value>', 'label; may be repeated (default: app=<name>)', collect)
    .option('--service-account <name>', 'its service account')
    .option('--port <port>', 'port that it serves, as http', toPort)
    .option('--locality <region/zone/subzone>', 'where it is')
    .option('--weight <number>', 'its share among others', Number)
    .option('--apply', 'apply it, too')
    .addOption(formatOption('yaml', 'json'))
    .addHelpText(
      'after',
      examples(
        'workload entry db --address 10.0.0.5',
        'workload entry db --address 10.0.0.5 --port 5432 --apply',
        'workload entry db-2 --address 10.0.0.6 -l app=db -o json',
      ),
    )
    .action(async (name: string, options) => {
      const { workloadEntry } = await import('./workload-entry.js');
      done(await workloadEntry(name, { ...options, format: options.output }, output));
    });
}
