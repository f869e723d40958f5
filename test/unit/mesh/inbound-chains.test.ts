import { describe, expect, test } from 'vitest';
import { policyOfChains } from '../../../src/mesh/inbound-chains.js';
import { type ChainCriteria, MATCH_EVERYTHING } from '../../../src/model/filter-chain-match.js';
import type { InboundChainConfig, InboundListener } from '../../../src/model/listener.js';
import type { ConnectionFacts } from '../../../src/routing/filter-chains.js';

const TLS = { requireClientCertificate: true, alpn: [] };
const TCP = { cluster: 'inbound', idleTimeoutMs: 0 };

interface Setup {
  readonly protocol?: InboundChainConfig['transportProtocol'];
  readonly match?: Partial<ChainCriteria>;
  readonly tls?: boolean;
}

function chain(name: string, { protocol = '', match, tls = false }: Setup = {}): InboundChainConfig {
  const { transportProtocol: _, ...everything } = MATCH_EVERYTHING;
  return {
    name,
    transportProtocol: protocol,
    ...(match && { match: { ...everything, ...match } }),
    tls: tls ? TLS : undefined,
    tcp: TCP,
  };
}

function policyOf(filterChains: readonly InboundChainConfig[], defaultChain?: InboundChainConfig) {
  const listener: InboundListener = {
    kind: 'inbound',
    name: 'inbound',
    address: undefined,
    filterChains,
    ...(defaultChain && { defaultChain }),
  };
  return policyOfChains(listener, ({ name, tls }) =>
    name === 'unfit' ? undefined : { name, tls, service: undefined },
  );
}

const FACTS: ConnectionFacts = {
  destinationPort: 443,
  destinationIp: '10.0.0.1',
  serverName: 'a.example',
  transportProtocol: 'tls',
  applicationProtocols: ['h2'],
  directSourceIp: '10.0.0.2',
  sourceIp: '10.0.0.2',
  sourcePort: 4000,
};
const PLAIN = {
  ...FACTS,
  transportProtocol: 'raw_buffer',
  serverName: '',
  applicationProtocols: [],
} as const;

describe('chains that are told apart by TLS or plaintext alone', () => {
  test('need nothing to be known about connections', () => {
    const policy = policyOf([
      chain('mtls', { protocol: 'tls', tls: true }),
      chain('plain', { protocol: 'raw_buffer' }),
    ]);
    expect([policy.mode, policy.tls?.name, policy.plaintext?.name]).toEqual(['permissive', 'mtls', 'plain']);
    expect(policy.choose).toBeUndefined();
  });
});

describe('chains that ask for more', () => {
  const policy = policyOf(
    [
      chain('by name', { tls: true, match: { serverNames: ['a.example'] } }),
      chain('by wildcard', { tls: true, match: { serverNames: ['*.example'] } }),
      chain('local', { match: { sourceType: 'local' } }),
    ],
    chain('others', { tls: true }),
  );
  const nameOf = (facts: Partial<ConnectionFacts>) => policy.choose?.({ ...FACTS, ...facts })?.name;

  test('are chosen by the connection', () => {
    expect(policy.mode).toBe('permissive');
    expect(nameOf({})).toBe('by name');
    expect(nameOf({ serverName: 'b.example' })).toBe('by wildcard');
    expect(nameOf({ ...PLAIN, sourceIp: '127.0.0.1' })).toBe('local');
  });

  test('leave the rest to the default chain', () => {
    expect(nameOf({ serverName: 'elsewhere' })).toBe('others');
  });

  test('refuse what the chosen one can not serve, rather than give it to another', () => {
    // Plaintext for a chain with a TLS context; TLS for one without.
    expect(nameOf(PLAIN)).toBeUndefined();
    expect(nameOf({ serverName: '', sourceIp: '127.0.0.1' })).toBeUndefined();
  });

  test('that this kind of server can not serve take their connections all the same', () => {
    const mixed = policyOf([chain('unfit', { match: { sourcePorts: [4000] } }), chain('any')]);
    expect(mixed.choose?.(PLAIN)).toBeUndefined();
    expect(mixed.choose?.({ ...PLAIN, sourcePort: 1 })?.name).toBe('any');
  });

  test('say whether there is any for TLS, and any for plaintext', () => {
    const match = { sourcePorts: [1] };
    expect(policyOf([chain('tls', { match, tls: true })]).mode).toBe('strict');
    expect(policyOf([chain('plain', { match })]).mode).toBe('disable');
    expect(policyOf([chain('never', { match, tls: true, protocol: 'raw_buffer' })]).mode).toBe('closed');
    expect(policyOf([], chain('others')).mode).toBe('disable');
  });
});

describe('chains that pass TLS on', () => {
  const passing = (filterChains: readonly InboundChainConfig[]) =>
    policyOfChains(
      { kind: 'inbound', name: 'inbound', address: undefined, filterChains },
      ({ name, tls, transportProtocol }) => ({
        name,
        tls,
        passesTls: tls === undefined && transportProtocol !== 'raw_buffer',
        service: undefined,
      }),
    );
  const mesh = { applicationProtocols: ['istio'] };

  test('take what a chain of the mesh does not', () => {
    const policy = passing([
      chain('mtls', { protocol: 'tls', tls: true, match: mesh }),
      chain('own', { protocol: 'tls' }),
      chain('plain', { protocol: 'raw_buffer' }),
    ]);
    const nameOf = (facts: Partial<ConnectionFacts>) => policy.choose?.({ ...FACTS, ...facts })?.name;
    expect([policy.mode, policy.tls?.name, policy.plaintext?.name]).toEqual(['permissive', 'mtls', 'plain']);
    expect(nameOf({ applicationProtocols: ['istio', 'h2'] })).toBe('mtls');
    expect(nameOf({})).toBe('own');
    expect(nameOf(PLAIN)).toBe('plain');
  });

  test('may be all there is', () => {
    const policy = passing([chain('own', { protocol: 'tls' })]);
    expect([policy.mode, policy.tls?.name, policy.choose]).toEqual(['strict', 'own', undefined]);
  });

  test('need no look at connections where everything passes', () => {
    const policy = passing([chain('any')]);
    expect([policy.mode, policy.tls, policy.plaintext?.name]).toEqual(['disable', undefined, 'any']);
  });
});
