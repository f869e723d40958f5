import { create } from '@bufbuild/protobuf';
import { packAny } from '../../../proto/any.js';
import {
  httpInspector,
  listener,
  originalDst,
  originalSrc,
  tlsInspector,
  type wkt,
} from '../../../proto/xds.js';

/** Istio: the mark by which connections are known that keep the address of their client. */
const TPROXY_MARK = 1337;

/** What the listener filters of a listener depend on besides its chains. */
export interface Captured {
  /** Whether connections were captured on their way to somewhere else. */
  readonly isCaptured: boolean;
  /** Whether the application sees the address of its client. */
  readonly keepsSource: boolean;
}

/**
 * The listener filters of chains (Istio: populateListenerFilters): the first bytes are looked at on ports only where a chain
 * asks for what they say. Elsewhere the server may be the one that speaks first.
 */
export function listenerFilters(
  chains: readonly listener.FilterChain[],
  { isCaptured, keepsSource }: Captured,
): listener.ListenerFilter[] {
  const filters: listener.ListenerFilter[] = [];
  if (isCaptured) {
    const any = packAny(originalDst.OriginalDstSchema, create(originalDst.OriginalDstSchema));
    filters.push(filterOf('original_dst', any));
  }
  if (isCaptured && keepsSource) {
    const message = create(originalSrc.OriginalSrcSchema, { mark: TPROXY_MARK });
    filters.push(filterOf('original_src', packAny(originalSrc.OriginalSrcSchema, message)));
  }
  const forTls = portsOf(chains, ({ transportProtocol }) => transportProtocol === 'tls');
  const forHttp = portsOf(chains, ({ applicationProtocols }) =>
    applicationProtocols.some((name) => name === 'http/1.1' || name === 'h2c'),
  );
  // What turns out to be TLS is not looked at for HTTP, so that the HTTP inspector is the second.
  const tls = packAny(tlsInspector.TlsInspectorSchema, create(tlsInspector.TlsInspectorSchema));
  const http = packAny(httpInspector.HttpInspectorSchema, create(httpInspector.HttpInspectorSchema));
  if (forTls.on.size > 0) filters.push(inspector('tls_inspector', tls, forTls));
  if (forHttp.on.size > 0) filters.push(inspector('http_inspector', http, forHttp));
  return filters;
}

/** Ports with chains that need an inspector, and those without; 0 = all that no chain names. */
interface Ports {
  readonly on: ReadonlySet<number>;
  readonly off: ReadonlySet<number>;
}

function portsOf(
  chains: readonly listener.FilterChain[],
  needs: (match: listener.FilterChainMatch) => boolean,
): Ports {
  const on = new Set<number>();
  const off = new Set<number>();
  for (const { filterChainMatch: match } of chains) {
    (match !== undefined && needs(match) ? on : off).add(match?.destinationPort ?? 0);
  }
  for (const port of on) off.delete(port);
  return { on, off };
}

function inspector(name: string, any: wkt.Any, { on, off }: Ports): listener.ListenerFilter {
  const filter = filterOf(name, any);
  const isOnElsewhere = !off.has(0);
  const ports = [...(isOnElsewhere ? off : on)].sort((a, b) => a - b);
  if (ports.length === 0) return filter;
  const named = anyOf(ports);
  filter.filterDisabled = isOnElsewhere ? named : predicate({ case: 'notMatch', value: named });
  return filter;
}

type Predicate = listener.ListenerFilterChainMatchPredicate;

function predicate(rule: Predicate['rule']): Predicate {
  return create(listener.ListenerFilterChainMatchPredicateSchema, { rule });
}

function anyOf(ports: readonly number[]): Predicate {
  const rules = ports.map((start) =>
    create(listener.ListenerFilterChainMatchPredicateSchema, {
      rule: { case: 'destinationPortRange', value: { start, end: start + 1 } },
    }),
  );
  const [only, ...more] = rules;
  // Envoy: a set has two rules at least.
  if (only !== undefined && more.length === 0) return only;
  return create(listener.ListenerFilterChainMatchPredicateSchema, {
    rule: { case: 'orMatch', value: { rules } },
  });
}

function filterOf(name: string, value: wkt.Any): listener.ListenerFilter {
  return create(listener.ListenerFilterSchema, {
    name: `envoy.filters.listener.${name}`,
    configType: { case: 'typedConfig', value },
  });
}
