import type { HostRequestSource, OverrideHostPolicy } from '../../model/lb-policy.js';
import type { MetadataPath } from '../../model/rate-limit.js';
import type { Exchange } from '../../service/context.js';
import { dig } from '../../service/dig.js';
import type { Request } from '../../service/service.js';
import type { Host } from '../host.js';
import type { HostSet } from '../host-set.js';
import type { Balancer, PickContext, Picker } from './load-balancer.js';

/** Envoy: the filter state in which a request's list of hosts stays over its retries. */
const STATE = 'envoy.extensions.load_balancing_policies.override_host.filter_state';

interface Wishes {
  readonly addresses: readonly string[];
  next: number;
}

/**
 * Envoy override_host: the request names the hosts that it wants. Each attempt takes the next one that is there,
 * whatever its health; the policy within chooses when there is none.
 */
export function hostRequests(policy: OverrideHostPolicy, child: Balancer): Balancer {
  const { sources, selectedHostKey } = policy;
  return {
    delegates: true,
    unreachable: (host) => child.unreachable?.(host),
    subsets: () => child.subsets?.(),
    close: () => child.close?.(),
    picker(sets) {
      const fallback = child.picker(sets);
      let byAddress: ReadonlyMap<string, Host> | undefined;
      const find: Find = (address) => {
        byAddress ??= indexOf(sets);
        return byAddress.get(address);
      };
      const pick: Picker = (context, attempt) => wanted(sources, context, find) ?? fallback(context, attempt);
      if (selectedHostKey === undefined) return pick;
      return (context, attempt) => {
        const host = pick(context, attempt);
        if (host !== undefined && context.request !== undefined) {
          tell(context.request.context, selectedHostKey, host.address);
        }
        return host;
      };
    },
  };
}

type Find = (address: string) => Host | undefined;

/** The next host that the request wants, and that is there. */
function wanted(
  sources: readonly HostRequestSource[],
  { request }: PickContext,
  find: Find,
): Host | undefined {
  const wishes = request && wishesOf(request, sources);
  if (wishes === undefined) return undefined;
  while (wishes.next < wishes.addresses.length) {
    const host = find(wishes.addresses[wishes.next++] ?? '');
    if (host !== undefined) return host;
  }
  return undefined;
}

/** What the request wants, as its first attempt found it. */
function wishesOf(request: Request, sources: readonly HostRequestSource[]): Wishes | undefined {
  const { context } = request;
  // Nobody else writes there.
  const known = context.filterState?.get(STATE) as Wishes | undefined;
  if (known !== undefined) return known;
  const addresses = sources.flatMap((source) => addressesOf(textIn(source, request)));
  if (addresses.length === 0) return undefined;
  const wishes = { addresses, next: 0 };
  context.filterState ??= new Map();
  context.filterState.set(STATE, wishes);
  return wishes;
}

/** Envoy: of a header with several lines the first counts. */
function textIn(source: HostRequestSource, { headers, context }: Request): unknown {
  if (source.kind === 'header') return headers.getAll(source.name)[0];
  const { namespace, keys } = source.path;
  return dig(context.dynamicMetadata?.get(namespace), keys);
}

function addressesOf(value: unknown): readonly string[] {
  if (typeof value !== 'string') return [];
  return value
    .split(',')
    .map((address) => address.trim())
    .filter((address) => address !== '');
}

/** Puts the address where it is to be told; what else stands in the namespace stays (Envoy merges by the first key). */
function tell(context: Exchange, { namespace, keys }: MetadataPath, address: string): void {
  const [first = '', ...rest] = keys;
  const value = rest.reduceRight<unknown>((inner, key) => ({ [key]: inner }), address);
  context.dynamicMetadata ??= new Map();
  context.dynamicMetadata.set(namespace, { ...context.dynamicMetadata.get(namespace), [first]: value });
}

function indexOf(sets: readonly HostSet[]): ReadonlyMap<string, Host> {
  return new Map(sets.flatMap(({ hosts }) => hosts.map((host) => [host.address, host] as const)));
}
