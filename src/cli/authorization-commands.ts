import { type Command, Option } from 'commander';
import { toPort } from './arguments.js';
import { collect } from './collect.js';
import type { Done } from './done.js';
import { needFile, pathsOf, withFileOption } from './file-option.js';
import { formatOption } from './format-option.js';
import type { Output } from './output.js';
import { withPlaneOptions } from './plane-options.js';
import { withWorkloadOptions } from './workload-options.js';

/** Adds `compile rbac`. */
export function addCompileRbac(compile: Command, output: Output, done: Done): void {
  const command = withWorkloadOptions(compile.command('rbac'));
  command
    .description(
      'Show the filters that carry out the AuthorizationPolicies of one workload, in the JSON of Envoy.',
    )
    .addOption(new Option('--kind <kind>', 'of which ports (default: both)').choices(['http', 'tcp']))
    .addOption(formatOption('json'))
    .argument('[path...]', 'further files')
    .addHelpText('after', COMPILE_RBAC_EXAMPLES)
    .action(async (paths: readonly string[], options) => {
      const file = [...(options.file ?? []), ...(await pathsOf(paths, options.recursive))];
      needFile(command, file);
      const { compileRbac } = await import('./compile-rbac.js');
      done(await compileRbac({ ...options, file }, output));
    });
}

/** Adds `authz check`. */
export function addAuthz(program: Command, output: Output, done: Done): void {
  const authz = program
    .command('authz')
    .description('Look at who may do what.')
    .addHelpText('after', AUTHZ_EXAMPLES);
  const command = withPlaneOptions(withWorkloadOptions(authz.command('check')));
  command
    .description(
      'List the AuthorizationPolicies of a workload and, given a request, tell whether they let it pass (exit code 1: no).',
    )
    .argument('[method]', 'method of the request')
    .argument('[url]', 'its path or URL')
    .option('--from <namespace/account>', 'service account of the caller')
    .option('--principal <id>', 'SPIFFE ID of the caller')
    .option('--source-ip <address>', 'address of the caller (default: 127.0.0.1)')
    .option('--remote-ip <address>', 'client that trusted proxies name (default: the source)')
    .option('--destination-ip <address>', 'address that is called (default: 127.0.0.1)')
    .option('-p, --port <port>', 'port that is called', toPort)
    .option('-H, --header <name:value>', 'header of the request; may be repeated', collect)
    .option('--claims <json>', 'claims of the verified token')
    .option('--sni <name>', 'name that the caller asks for in TLS')
    .option('--tcp', 'a connection instead of a request', false)
    .addOption(formatOption('table', 'json', 'yaml'))
    .addHelpText('after', AUTHZ_EXAMPLES)
    .action(async (first: string | undefined, second: string | undefined, options) => {
      const { authzCheck } = await import('./authz-check.js');
      // One argument alone is what is asked for.
      const [method, url] = second === undefined ? [undefined, first] : [first, second];
      done(await authzCheck({ method, url }, options, output));
    });
}

/** Adds `migrate rbac`. */
export function addMigrate(program: Command, output: Output, done: Done): void {
  const migrate = program
    .command('migrate')
    .description('Translate documents of the past.')
    .addHelpText('after', MIGRATE_EXAMPLES);
  const command = withFileOption(
    migrate.command('rbac'),
    'files or folders of Istio YAML, with the Services (needed)',
  );
  command
    .description(
      'Print the AuthorizationPolicies that stand for ServiceRoles, ServiceRoleBindings, RbacConfigs and ClusterRbacConfigs; what has no equal is told on stderr (exit code 1).',
    )
    .option('--root-namespace <namespace>', 'namespace of mesh-wide policies (default: istio-system)')
    .addOption(formatOption('yaml', 'json'))
    .addHelpText('after', MIGRATE_EXAMPLES)
    .action(async (options) => {
      needFile(command, options.file);
      const { migrateRbac } = await import('./migrate-rbac.js');
      done(await migrateRbac(options, output));
    });
}

const COMPILE_RBAC_EXAMPLES = `
Examples:
  $ inmesh compile rbac -f policies.yaml -n shop -l app=cart          the filters of that workload
  $ inmesh compile rbac -f policies.yaml -n shop -l app=db --kind tcp   of its ports without HTTP
  $ inmesh compile rbac -f policies.yaml --mesh-config mesh.yaml       with the providers of a MeshConfig`;

const AUTHZ_EXAMPLES = `
Examples:
  $ inmesh authz check -f policies.yaml -n shop -l app=cart            which policies hold there
  $ inmesh authz check -f policies.yaml -n shop -l app=cart GET /admin --from shop/web
  $ inmesh authz check -f policies.yaml -n shop -l app=cart POST /buy --claims '{"iss":"a","sub":"b"}' -o json`;

const MIGRATE_EXAMPLES = `
Examples:
  $ inmesh migrate rbac -f rbac.yaml -f services.yaml > policies.yaml
  $ inmesh migrate rbac -f old/ -o json
  $ inmesh migrate rbac -f old/ | inmesh authz check -f /dev/stdin -n shop -l app=cart GET /`;
