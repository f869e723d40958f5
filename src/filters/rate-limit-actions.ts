import type { RateLimitAction, RateLimitValue } from '../model/rate-limit.js';
import { compileHeaderMatchers, compileQueryMatchers, type HeadPredicate } from '../routing/match.js';
import type { Clock } from '../runtime/clock.js';
import { unreachable } from '../runtime/errors.js';
import { formatIp, maskIp, parseIp } from '../runtime/ip.js';
import { dig } from '../service/dig.js';
import { compileFormat } from '../service/format/format.js';
import { queryParameter, requestHeader } from '../service/format/http-commands.js';
import { formatToolsOf, inputOf } from '../service/format/tools.js';
import type { Request } from '../service/service.js';
import type { LocalNode } from './filter.js';

/** What descriptors are made with. */
export interface DescriptorTools {
  readonly clock: Clock;
  readonly node: LocalNode;
  /** The cluster that the stack sends to, when it is known. */
  readonly clusterName: string | undefined;
  /**
   * Whether values of generic keys and matches are format strings: Envoy's
   * `enable_formatter_for_ratelimit_action_descriptor_value`, which is off unless switched on.
   */
  readonly formatsValues?: boolean;
}

/** One entry of a descriptor. */
export interface DescriptorEntry {
  readonly key: string;
  readonly value: string;
}

/** Gives the entry of a request: `skip` adds none, undefined drops the whole descriptor. */
export type CompiledAction = (request: Request) => DescriptorEntry | 'skip' | undefined;

/** Compiles one action. */
export function compileRateLimitAction(action: RateLimitAction, tools: DescriptorTools): CompiledAction {
  switch (action.kind) {
    case 'source-cluster':
      return constant('source_cluster', tools.node.cluster);
    case 'destination-cluster':
      return ({ context }) => ({
        key: 'destination_cluster',
        value: tools.clusterName ?? context.clusterName ?? '',
      });
    case 'remote-address':
      return (request) => entry('remote_address', remoteIp(request));
    case 'masked-remote-address':
      return (request) => entry('masked_remote_address', maskedIp(request, action));
    case 'request-header':
    case 'query-parameter':
      return named(action);
    case 'generic-key':
      return ifMatches(action, undefined, true, tools);
    case 'header-value-match':
      return ifMatches(action, compileHeaderMatchers(action.headers), action.expectMatch, tools);
    case 'query-parameter-value-match':
      return ifMatches(action, compileQueryMatchers(action.queryParameters), action.expectMatch, tools);
    case 'metadata':
      return fromMetadata(action);
    case 'header-input':
    case 'query-parameter-input':
      return fromInput(action);
    default:
      return unreachable(action);
  }
}

function constant(key: string, value: string): CompiledAction {
  const fixed = { key, value };
  return () => fixed;
}

function entry(key: string, value: string | undefined): DescriptorEntry | undefined {
  return value === undefined ? undefined : { key, value };
}

/** The client's address, when it has one: requests that this process sends out have none. */
function remoteIp({ context }: Request): string | undefined {
  const address = context.connection?.remote?.address;
  return address === undefined || parseIp(address) === undefined ? undefined : address;
}

function maskedIp(
  request: Request,
  { v4PrefixLength, v6PrefixLength }: Extract<RateLimitAction, { kind: 'masked-remote-address' }>,
): string | undefined {
  const bytes = parseIp(remoteIp(request) ?? '');
  if (bytes === undefined) return undefined;
  const length = bytes.length === 4 ? v4PrefixLength : v6PrefixLength;
  return `${formatIp(maskIp(bytes, length))}/${length}`;
}

/** Envoy: the first line of a header; a parameter is percent-decoded. */
function named({
  kind,
  name,
  key,
  skipIfAbsent,
}: Extract<RateLimitAction, { kind: 'request-header' | 'query-parameter' }>): CompiledAction {
  const absent = skipIfAbsent ? 'skip' : undefined;
  return (request) => {
    const value =
      kind === 'request-header' ? requestHeader(request, name) : queryParameter(request.path, name);
    return entry(key, value) ?? absent;
  };
}

function ifMatches(
  { key, value, defaultValue }: RateLimitValue & { readonly key: string },
  matches: HeadPredicate | undefined,
  expected: boolean,
  { clock, formatsValues = false }: DescriptorTools,
): CompiledAction {
  const format = formatsValues ? compileFormat(value, formatToolsOf(clock), '') : undefined;
  const make: CompiledAction =
    format === undefined || format.constant !== undefined
      ? constant(key, format?.constant ?? value)
      : (request) => entry(key, format.text(inputOf(request)) || defaultValue || undefined);
  if (matches === undefined) return make;
  return (request) => (matches(request) === expected ? make(request) : undefined);
}

/** Envoy: only texts count, and an empty one is none. */
function fromMetadata({
  key,
  source,
  path: { namespace, keys },
  defaultValue,
  skipIfAbsent,
}: Extract<RateLimitAction, { kind: 'metadata' }>): CompiledAction {
  const absent =
    defaultValue === '' ? (skipIfAbsent ? ('skip' as const) : undefined) : { key, value: defaultValue };
  return ({ context }) => {
    const struct =
      source === 'dynamic' ? context.dynamicMetadata?.get(namespace) : context.routeMetadata?.[namespace];
    const value = dig(struct, keys);
    return typeof value === 'string' && value !== '' ? { key, value } : absent;
  };
}

/** Envoy: what is there but empty adds no entry; what is not there drops the descriptor. */
function fromInput({
  kind,
  key,
  name,
}: Extract<RateLimitAction, { kind: 'header-input' | 'query-parameter-input' }>): CompiledAction {
  const read = (request: Request): string | undefined => {
    if (kind === 'query-parameter-input') return queryParameter(request.path, name);
    const lines = request.headers.getAll(name);
    return lines.length > 1 ? lines.join(',') : requestHeader(request, name);
  };
  return (request) => {
    const value = read(request);
    return value === '' ? 'skip' : entry(key, value);
  };
}
