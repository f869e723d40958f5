import { actionsOf, type MatchTree } from '../model/match-tree.js';
import { templateRegExp } from '../model/path-template.js';
import type {
  RbacAction,
  RbacPermission,
  RbacPlain,
  RbacPolicy,
  RbacPrincipal,
  RbacRules,
} from '../model/rbac.js';
import { unreachable } from '../runtime/errors.js';
import type { SocketEnd } from '../service/connection.js';
import { setDynamicMetadata } from '../service/dynamic-metadata.js';
import type { Request } from '../service/service.js';
import { compileString } from './match.js';
import { compileMatchTree } from './match-tree.js';
import { EXACT, type RbacReading, WIDE } from './rbac-reading.js';
import { compileMetadata, compileRanges, compileState } from './value-match.js';

/** Namespaces of what the filters of rules write to dynamic metadata. */
export const HTTP_RBAC = 'envoy.filters.http.rbac';
export const NETWORK_RBAC = 'envoy.filters.network.rbac';

/** What an engine says of a request. */
export interface RbacDecision {
  readonly allowed: boolean;
  /** Name of the policy that matched; undefined when none did. */
  readonly policy: string | undefined;
}

/** Decides about a request. */
export type RbacEngine = (request: Request) => RbacDecision;

type Test = (request: Request) => boolean;

/** Compiles rules (Envoy `RoleBasedAccessControlEngineImpl`): the first policy in order of names counts. */
export function compileRbac({ action, policies }: RbacRules, reading: RbacReading = EXACT): RbacEngine {
  const compiled = policies.map((policy) => ({ name: policy.name, matches: compilePolicy(policy, reading) }));
  return (request) => {
    const policy = compiled.find(({ matches }) => matches(request))?.name;
    const matched = policy !== undefined;
    switch (action) {
      case 'allow':
        return { allowed: matched, policy };
      case 'deny':
        return { allowed: !matched, policy };
      case 'log':
        setDynamicMetadata(request.context, 'envoy.common', { access_log_hint: matched });
        return { allowed: true, policy };
      default:
        return unreachable(action);
    }
  };
}

/**
 * Compiles rules so that no other way to write a request gets by them: what is denied is denied by either reading, and
 * what is allowed has to be allowed by both.
 */
export function compileStrictRbac(rules: RbacRules): RbacEngine {
  const exact = compileRbac(rules);
  if (rules.action === 'log' || !rules.policies.some(readsHead)) return exact;
  const wide = compileRbac(rules, WIDE);
  return (request) => {
    const decision = exact(request);
    if (!decision.allowed) return decision;
    const other = wide(request);
    return other.allowed ? decision : other;
  };
}

/** Whether a policy looks at what can be written in several ways. */
function readsHead({ permissions, principals }: RbacPolicy): boolean {
  return [...permissions, ...principals].some(isOfHead);
}

function isOfHead(one: RbacPermission | RbacPrincipal): boolean {
  switch (one.kind) {
    case 'and':
    case 'or':
      return one.of.some(isOfHead);
    case 'not':
      return isOfHead(one.of);
    default:
      return one.kind === 'header' || one.kind === 'path' || one.kind === 'template';
  }
}

/** Compiles a match tree (Envoy `RoleBasedAccessControlMatcherEngineImpl`): what finds no action is denied. */
export function compileRbacTree(tree: MatchTree<RbacAction>): RbacEngine {
  const find = compileMatchTree(tree);
  const logs = actionsOf(tree).some(({ action }) => action === 'log');
  return (request) => {
    const found = find(request);
    if (logs)
      setDynamicMetadata(request.context, 'envoy.common', { access_log_hint: found?.action === 'log' });
    return { allowed: found !== undefined && found.action !== 'deny', policy: found?.name };
  };
}

/**
 * Leaves a decision in the dynamic metadata, for logs and other filters; `prefix` stands before the names (Envoy
 * `rules_stat_prefix` with `enforced_`, `shadow_rules_stat_prefix` with `shadow_`).
 */
export function noteDecision(
  { context }: Request,
  { allowed, policy }: RbacDecision,
  { namespace, prefix }: { readonly namespace: string; readonly prefix: string },
): void {
  setDynamicMetadata(context, namespace, {
    ...(policy !== undefined && { [`${prefix}effective_policy_id`]: policy }),
    [`${prefix}engine_result`]: allowed ? 'allowed' : 'denied',
  });
}

/** Compiles a policy. */
export function compilePolicy({ permissions, principals }: RbacPolicy, reading: RbacReading = EXACT): Test {
  const permitted = anyOf(permissions.map((one) => compilePermission(one, reading)));
  const known = anyOf(principals.map((one) => compilePrincipal(one, reading)));
  return (request) => permitted(request) && known(request);
}

function anyOf(tests: readonly Test[]): Test {
  const [first] = tests;
  if (first !== undefined && tests.length === 1) return first;
  return (request) => tests.some((test) => test(request));
}

function allOf(tests: readonly Test[]): Test {
  return (request) => tests.every((test) => test(request));
}

/** Compiles a permission. */
export function compilePermission(permission: RbacPermission, reading: RbacReading = EXACT): Test {
  switch (permission.kind) {
    case 'and':
      return allOf(permission.of.map((one) => compilePermission(one, reading)));
    case 'or':
      return anyOf(permission.of.map((one) => compilePermission(one, reading)));
    case 'not': {
      const test = compilePermission(permission.of, reading);
      return (request) => !test(request);
    }
    case 'destination-ip':
      return inRange(permission.range, ({ context }) => context.connection?.local);
    case 'destination-port': {
      const { start, end } = permission;
      return ({ context }) => {
        const port = context.connection?.local?.port;
        return port !== undefined && port >= start && port < end;
      };
    }
    case 'server-name': {
      const test = compileString(permission.matcher);
      return ({ context }) => test(context.connection?.tls?.serverName ?? '');
    }
    case 'template': {
      const regex = templateRegExp(permission.template);
      return reading.path((path) => regex.test(path));
    }
    default:
      return compileCommon(permission, reading);
  }
}

/** Compiles a principal. */
export function compilePrincipal(principal: RbacPrincipal, reading: RbacReading = EXACT): Test {
  switch (principal.kind) {
    case 'and':
      return allOf(principal.of.map((one) => compilePrincipal(one, reading)));
    case 'or':
      return anyOf(principal.of.map((one) => compilePrincipal(one, reading)));
    case 'not': {
      const test = compilePrincipal(principal.of, reading);
      return (request) => !test(request);
    }
    case 'authenticated':
      return authenticated(principal);
    case 'ip':
      return principal.of === 'remote'
        ? inRange(principal.range, ({ context }) => context.connection?.remote)
        : inRange(principal.range, ({ context }) => context.connection?.directRemote);
    case 'filter-state': {
      const test = compileState(principal.matcher);
      return ({ context }) => test(context.filterState);
    }
    default:
      return compileCommon(principal, reading);
  }
}

function compileCommon(matcher: RbacPlain, reading: RbacReading): Test {
  switch (matcher.kind) {
    case 'any':
      return () => true;
    case 'header':
      return reading.header(matcher.matcher);
    case 'path':
      return reading.path(compileString(matcher.matcher));
    case 'metadata': {
      const test = compileMetadata(matcher.matcher);
      return ({ context }) => test(context.dynamicMetadata);
    }
    default:
      return unreachable(matcher);
  }
}

function inRange(
  range: Extract<RbacPermission, { kind: 'destination-ip' }>['range'],
  read: (request: Request) => SocketEnd | undefined,
): Test {
  const test = compileRanges([range]);
  return (request) => {
    const address = read(request)?.address;
    return address !== undefined && test(address);
  };
}

/**
 * Envoy: every URI of the certificate is tried, then every DNS name, then its subject; a URI that does not match does
 * not stop the search.
 */
function authenticated({ name }: Extract<RbacPrincipal, { kind: 'authenticated' }>): Test {
  if (name === undefined) return ({ context }) => context.connection?.tls !== undefined;
  const test = compileString(name);
  return ({ context }) => {
    const tls = context.connection?.tls;
    if (tls === undefined) return false;
    const { peer } = tls;
    return (
      (peer?.uriSans.some(test) ?? false) || (peer?.dnsSans.some(test) ?? false) || test(peer?.subject ?? '')
    );
  };
}
