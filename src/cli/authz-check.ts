import { stringify } from 'yaml';
import {
  type AuthorizationCheck,
  type AuthorizationTarget,
  type CheckedRequest,
  checkAuthorizationFiles,
  formatViolations,
} from '../control-plane.js';
import { MeshError, messageOf } from '../runtime/errors.js';
import { headerOf } from './headers.js';
import type { Output } from './output.js';
import type { PlaneOptions } from './plane-options.js';
import { callPlane, errorOf } from './status-api.js';
import { table } from './table.js';
import { tellInvalid } from './tell-invalid.js';
import type { WorkloadOptions } from './workload-options.js';
import { targetOf } from './workload-target.js';

/** What `inmesh authz check` was asked for. */
export interface AuthzCheckOptions extends Omit<WorkloadOptions, 'file'>, Partial<PlaneOptions> {
  readonly file?: readonly string[];
  readonly principal?: string;
  readonly from?: string;
  readonly sourceIp?: string;
  readonly remoteIp?: string;
  readonly destinationIp?: string;
  readonly port?: number;
  readonly header?: readonly string[];
  readonly claims?: string;
  readonly sni?: string;
  readonly tcp?: boolean;
  readonly output: 'table' | 'json' | 'yaml';
}

/** Shows the policies of a workload and, for a request, whether they let it pass: 0 = yes or nobody asked, 1 = no. */
export async function authzCheck(
  args: { readonly method: string | undefined; readonly url: string | undefined },
  options: AuthzCheckOptions,
  output: Output,
): Promise<number> {
  const target = await targetOf(options, output);
  if (target === undefined) return 1;
  const request = requestOf(args, options, target.mesh?.trustDomain ?? 'cluster.local');
  if (options.file === undefined) return checkLive({ ...target, request }, options, output);
  const checked = await checkAuthorizationFiles(options.file, { ...target, request });
  if (!checked.accepted) return tellInvalid(checked.violations, options.output, output);
  if (checked.warnings.length > 0) output.err(`${formatViolations(checked.warnings)}\n`);
  const { result } = checked;
  for (const problem of result.problems) output.err(`${problem}; what it would decide about is refused\n`);
  output.out(shown(result, options.output));
  return result.decision?.verdict === 'denied' ? 1 : 0;
}

/** By what is in force at a control plane. */
async function checkLive(
  {
    namespace,
    labels,
    service,
    request,
  }: AuthorizationTarget & { readonly request: CheckedRequest | undefined },
  options: AuthzCheckOptions,
  output: Output,
): Promise<number> {
  const { controlPlane: address = '127.0.0.1:15014', tokenFile, caRoot } = options;
  const { status, body } = await callPlane({ address, tokenFile, caRoot }, '/api/authz/check?with=stored', {
    method: 'POST',
    body: { namespace, labels, service, request },
  });
  if (status !== 200) {
    throw new MeshError(
      'INMESH_CONTROL_PLANE_UNAVAILABLE',
      errorOf(body)?.message ?? `its status API answered ${status}`,
    );
  }
  // As openapi.json says.
  const result = body as AuthorizationCheck;
  for (const problem of result.problems) output.err(`${problem}; what it would decide about is refused\n`);
  output.out(shown(result, options.output));
  return result.decision?.verdict === 'denied' ? 1 : 0;
}

function requestOf(
  { method, url }: { readonly method: string | undefined; readonly url: string | undefined },
  options: AuthzCheckOptions,
  trustDomain: string,
): CheckedRequest | undefined {
  if (url === undefined && options.tcp !== true) return undefined;
  const parsed = url === undefined ? undefined : parseUrl(url);
  const [namespace, account] = (options.from ?? '').split('/');
  const caller =
    options.from === undefined ? undefined : `${trustDomain}/ns/${namespace}/sa/${account ?? 'default'}`;
  return {
    protocol: options.tcp === true ? 'tcp' : 'http',
    method: method?.toUpperCase(),
    authority: parsed?.host,
    path: parsed?.path,
    headers: (options.header ?? []).map(headerOf),
    principal: options.principal ?? caller,
    sourceIp: options.sourceIp,
    remoteIp: options.remoteIp,
    destinationIp: options.destinationIp,
    port: options.port ?? parsed?.port,
    serverName: options.sni,
    claims: options.claims === undefined ? undefined : claimsOf(options.claims),
  };
}

/** A path as it stands, or a URL; the path is not touched, since what becomes of it is part of the question. */
function parseUrl(url: string): {
  readonly host: string;
  readonly path: string;
  readonly port: number | undefined;
} {
  if (url.startsWith('/')) return { host: '', path: url, port: undefined };
  const [, host = '', port, path = '/'] = /^(?:\w+:\/\/)?([^/:?#]+)(?::(\d+))?([/?].*)?$/.exec(url) ?? [];
  if (host === '') {
    throw new MeshError('INMESH_OPTION_INVALID', `${JSON.stringify(url)} is neither a path nor a URL`);
  }
  return {
    host: port === undefined ? host : `${host}:${port}`,
    path,
    port: port === undefined ? undefined : Number(port),
  };
}

function claimsOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const claims: unknown = JSON.parse(text);
    if (typeof claims === 'object' && claims !== null && !Array.isArray(claims)) return { ...claims };
  } catch (error) {
    throw new MeshError('INMESH_OPTION_INVALID', `the claims are no JSON: ${messageOf(error)}`, {
      cause: error,
    });
  }
  throw new MeshError('INMESH_OPTION_INVALID', 'the claims must be a JSON object, such as {"sub":"a"}');
}

function shown(check: AuthorizationCheck, format: AuthzCheckOptions['output']): string {
  if (format === 'json') return `${JSON.stringify(check, undefined, 2)}\n`;
  // Through JSON, so that what is undefined is left out in both.
  if (format === 'yaml') return stringify(JSON.parse(JSON.stringify(check)));
  const { policies, decision } = check;
  const rows = policies.map(({ action, namespace, name, rules, scope, dryRun, origin }) => [
    action,
    `${namespace}/${name}`,
    String(rules),
    scope,
    dryRun ? 'yes' : '',
    `${origin.file}:${origin.line}`,
  ]);
  const effective =
    rows.length === 0
      ? 'No AuthorizationPolicy holds: everything is allowed.\n'
      : table(['ACTION', 'POLICY', 'RULES', 'SCOPE', 'DRY RUN', 'FROM'], rows);
  if (decision === undefined) return effective;
  const steps = decision.steps.map(({ action, result, rule }) => [action, result, rule ?? '']);
  const why = steps.length === 0 ? '' : table(['ACTION', 'RESULT', 'RULE'], steps);
  const reason = decision.reason === undefined ? '' : `: ${decision.reason}`;
  return `${effective}\n${why}verdict: ${decision.verdict}${reason}\n`;
}
