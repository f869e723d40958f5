import * as fc from 'fast-check';
import type { AccessLog } from '../../src/model/access-log.js';
import type { SocketAddress } from '../../src/model/address.js';
import type { FilterChainMatch } from '../../src/model/filter-chain-match.js';
import type { OutboundTcpListener, TlsInspection } from '../../src/model/listener.js';
import type { MetadataStruct } from '../../src/model/metadata.js';
import type { NetworkExtAuthz, NetworkGuard } from '../../src/model/network-guard.js';
import type { NetworkRbac } from '../../src/model/network-rbac.js';
import type { TcpCluster, TcpProxy, TcpServer, TcpTunnel } from '../../src/model/tcp-proxy.js';
import type { AddressRange } from '../../src/model/value-matcher.js';

/** Listeners for TCP. */

const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined });
const few = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.array(arbitrary, { maxLength: 3 });
const milliseconds = (): fc.Arbitrary<number> => fc.integer({ min: 1, max: 10_000_000 });

export interface TcpParts {
  readonly name: fc.Arbitrary<string>;
  readonly text: fc.Arbitrary<string>;
  readonly address: fc.Arbitrary<SocketAddress>;
  readonly metadataMatch: fc.Arbitrary<MetadataStruct>;
  readonly accessLogs: fc.Arbitrary<readonly AccessLog[] | undefined>;
}

const range = (): fc.Arbitrary<AddressRange> =>
  fc.oneof(
    fc.record({ address: fc.ipV4(), bits: fc.integer({ min: 0, max: 32 }) }),
    fc.record({ address: fc.ipV6(), bits: fc.integer({ min: 0, max: 128 }) }),
  );

/** But for the port of the destination, by which chains are told apart. */
export const chainMatch = (
  text: fc.Arbitrary<string>,
  sourcePort: fc.Arbitrary<number>,
): fc.Arbitrary<FilterChainMatch> =>
  fc.record({
    destinationRanges: few(range()),
    serverNames: few(
      fc
        .tuple(fc.constantFrom('', '*.'), fc.domain())
        .map(([wildcard, domain]) => `${wildcard}${domain.toLowerCase()}`),
    ),
    transportProtocol: fc.constantFrom('tls' as const, 'raw_buffer' as const, '' as const),
    applicationProtocols: few(text),
    directSourceRanges: few(range()),
    sourceType: fc.constantFrom('any' as const, 'local' as const, 'external' as const),
    sourceRanges: few(range()),
    sourcePorts: few(sourcePort),
  });

const cluster = ({ name, metadataMatch }: TcpParts): fc.Arbitrary<TcpCluster> =>
  fc.oneof(
    fc.record({ kind: fc.constant('cluster' as const), name }),
    fc
      .array(
        fc.record({
          name,
          weight: fc.integer({ min: 1, max: 1_000_000 }),
          metadataMatch: maybe(metadataMatch),
        }),
        { minLength: 1, maxLength: 3 },
      )
      .map((clusters) => ({
        kind: 'weighted' as const,
        clusters,
        totalWeight: clusters.reduce((sum, { weight }) => sum + weight, 0),
      })),
  );

const proxy = (parts: TcpParts): fc.Arbitrary<TcpProxy> =>
  fc.record({
    cluster: cluster(parts),
    metadataMatch: maybe(parts.metadataMatch),
    idleTimeoutMs: fc.integer({ min: 0, max: 10_000_000 }),
    maxConnectAttempts: fc.integer({ min: 1, max: 0xffff_ffff }),
    connectBackoff: maybe(
      fc.tuple(milliseconds(), fc.nat(1_000_000)).map(([baseMs, more]) => ({ baseMs, maxMs: baseMs + more })),
    ),
    hash: maybe(
      fc.oneof(
        fc.constant({ kind: 'source-ip' as const }),
        fc.record({ kind: fc.constant('filter-state' as const), key: parts.name }),
      ),
    ),
    maxDurationMs: maybe(milliseconds()),
    maxDurationJitterPercent: maybe(fc.double({ min: 0, max: 100, noNaN: true })),
    tunnel: maybe(tunnel()),
    accessLogs: parts.accessLogs,
  });

const tunnel = (): fc.Arbitrary<TcpTunnel> =>
  fc
    .record({ target: fc.domain().map((host) => `${host}:443`), isPost: fc.boolean(), path: fc.webPath() })
    .map(({ target, isPost, path }) =>
      isPost ? { target, method: 'POST', path: path || '/' } : { target, method: 'CONNECT', path: '/' },
    );

/** The TCP proxy of an inbound filter chain. */
export const tcpServer = (
  name: fc.Arbitrary<string>,
  accessLogs: TcpParts['accessLogs'],
): fc.Arbitrary<TcpServer> =>
  fc.record({
    cluster: name,
    idleTimeoutMs: fc.integer({ min: 0, max: 10_000_000 }),
    maxDurationMs: maybe(milliseconds()),
    maxDurationJitterPercent: maybe(fc.double({ min: 0, max: 100, noNaN: true })),
    accessLogs,
  });

/** How the first bytes of connections are waited for. */
export const inspection = (): fc.Arbitrary<TlsInspection> =>
  fc.record({ timeoutMs: fc.nat(1_000_000), continuesOnTimeout: fc.boolean() });

/** An outbound listener for TCP. */
export const outboundTcp = (parts: TcpParts): fc.Arbitrary<OutboundTcpListener> => {
  const match = chainMatch(parts.text, fc.nat()).map((one) => ({ ...one, sourcePorts: [] }));
  const chain = fc.record({ name: parts.text, match, tcp: proxy(parts) });
  return fc.record({
    kind: fc.constant('outbound-tcp' as const),
    name: parts.name,
    address: maybe(parts.address),
    filterChains: fc
      .array(chain, { minLength: 1, maxLength: 3 })
      .map((chains) =>
        chains.map((one, index) => ({ ...one, match: { ...one.match, destinationPort: index + 1 } })),
      ),
    defaultChain: maybe(
      chain.map((one) => ({ ...one, match: { ...one.match, destinationPort: undefined } })),
    ),
    inspection: maybe(inspection()),
  });
};

/** Who may connect. */
export function networkGuard(name: fc.Arbitrary<string>): fc.Arbitrary<NetworkGuard> {
  return fc.oneof(networkRbac(name), networkExtAuthz(name));
}

function networkExtAuthz(name: fc.Arbitrary<string>): fc.Arbitrary<NetworkExtAuthz> {
  return fc.record({
    kind: fc.constant('ext-authz' as const),
    statPrefix: name,
    service: fc.record({
      cluster: name,
      authority: fc.constantFrom('', 'authz.test', 'outbound_.80_._.authz.test'),
      timeoutMs: fc.option(fc.integer({ min: 1, max: 60_000 }), { nil: undefined }),
      initialMetadata: fc.constant([]),
      maxReceiveBytes: fc.option(fc.integer({ min: 1, max: 1_000_000 }), { nil: undefined }),
    }),
    failureModeAllow: fc.boolean(),
    includePeerCertificate: fc.boolean(),
    includeTlsSession: fc.boolean(),
    enabledMetadata: fc.constant(undefined),
  });
}

function networkRbac(name: fc.Arbitrary<string>): fc.Arbitrary<NetworkRbac> {
  const plain = fc.constantFrom(
    { kind: 'any' as const },
    { kind: 'authenticated' as const, name: undefined },
  );
  const rules = fc.record({
    action: fc.constantFrom('allow' as const, 'deny' as const, 'log' as const),
    policies: fc.array(
      fc.record({ name, permissions: fc.constant([{ kind: 'any' as const }]), principals: fc.tuple(plain) }),
      { maxLength: 1 },
    ),
  });
  return fc.record({
    statPrefix: name,
    rules: fc.option(rules, { nil: undefined }),
    shadowRules: fc.option(rules, { nil: undefined }),
    shadowRulesStatPrefix: name,
  });
}
