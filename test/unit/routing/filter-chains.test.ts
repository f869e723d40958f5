import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type FilterChainMatch, MATCH_EVERYTHING } from '../../../src/model/filter-chain-match.js';
import { type ConnectionFacts, compileFilterChains } from '../../../src/routing/filter-chains.js';

const FACTS: ConnectionFacts = {
  destinationPort: 443,
  destinationIp: '10.1.2.3',
  serverName: 'www.example.com',
  transportProtocol: 'tls',
  applicationProtocols: ['h2', 'http/1.1'],
  directSourceIp: '192.168.0.1',
  sourceIp: '192.168.0.1',
  sourcePort: 5000,
};

const chain = (name: string, match: Partial<FilterChainMatch>) => ({
  name,
  match: { ...MATCH_EVERYTHING, ...match },
});
const range = (text: string) => {
  const [address = '', bits = '32'] = text.split('/');
  return { address, bits: Number(bits) };
};
type Chain = ReturnType<typeof chain>;
const chosen = (chains: readonly Chain[], facts: Partial<ConnectionFacts> = {}, fallback?: Chain) =>
  compileFilterChains(chains, fallback)({ ...FACTS, ...facts })?.name;

describe('a filter chain is chosen', () => {
  test('by the port of the destination before anything else', () => {
    const chains = [
      chain('port', { destinationPort: 443, serverNames: ['other.org'] }),
      chain('name', { serverNames: ['www.example.com'] }),
    ];
    // No way back: the port has its chains, and none of them fits.
    expect(chosen(chains)).toBeUndefined();
    expect(chosen(chains, { destinationPort: 80 })).toBe('name');
    expect(chosen(chains, {}, chain('default', {}))).toBe('default');
  });

  test('by the narrowest range of the destination', () => {
    const chains = [
      chain('wide', { destinationRanges: [range('10.0.0.0/8')] }),
      chain('narrow', { destinationRanges: [range('10.1.0.0/16'), range('10.9.0.0/16')] }),
      chain('all', {}),
    ];
    expect(chosen(chains)).toBe('narrow');
    expect(chosen(chains, { destinationIp: '10.2.0.1' })).toBe('wide');
    expect(chosen(chains, { destinationIp: '::1' })).toBe('all');
    expect(chosen(chains, { destinationIp: undefined })).toBe('all');
  });

  test('by the exact server name, the longest wildcard, none', () => {
    const chains = [
      chain('none', {}),
      chain('short', { serverNames: ['*.com'] }),
      chain('long', { serverNames: ['*.example.com'] }),
      chain('exact', { serverNames: ['www.example.com'] }),
    ];
    expect(chosen(chains)).toBe('exact');
    expect(chosen(chains, { serverName: 'a.b.example.com' })).toBe('long');
    expect(chosen(chains, { serverName: 'example.com' })).toBe('short');
    expect(chosen(chains, { serverName: 'com' })).toBe('none');
    expect(chosen(chains, { serverName: '' })).toBe('none');
  });

  test('by the transport, and then by the ALPN name that the client likes best', () => {
    const chains = [
      chain('any', {}),
      chain('old', { transportProtocol: 'tls', applicationProtocols: ['http/1.1'] }),
      chain('new', { transportProtocol: 'tls', applicationProtocols: ['h2'] }),
    ];
    expect(chosen(chains)).toBe('new');
    expect(chosen(chains, { applicationProtocols: ['x', 'http/1.1'] })).toBe('old');
    expect(chosen(chains, { transportProtocol: 'raw_buffer' })).toBe('any');
    expect(chosen(chains, { applicationProtocols: [] })).toBeUndefined();
  });

  test('by where it comes from', () => {
    const chains = [
      chain('direct', { directSourceRanges: [range('172.16.0.0/12')] }),
      chain('local', { sourceType: 'local' }),
      chain('external', { sourceType: 'external', sourceRanges: [range('192.168.0.0/16')] }),
      chain('port', { sourceType: 'external', sourceRanges: [range('192.168.0.0/24')], sourcePorts: [5000] }),
    ];
    expect(chosen(chains)).toBe('port');
    expect(chosen(chains, { sourcePort: 1 })).toBeUndefined();
    expect(chosen(chains, { sourceIp: '192.168.9.9' })).toBe('external');
    expect(chosen(chains, { sourceIp: '127.0.0.1' })).toBe('local');
    expect(chosen(chains, { sourceIp: '10.1.2.3' })).toBe('local');
    expect(chosen(chains, { directSourceIp: '172.16.0.1' })).toBe('direct');
  });
});

test('whatever is chosen fits, and without any condition something is', () => {
  const names = fc.constantFrom('www.example.com', '*.example.com', '*.com', 'other.org');
  const match = fc.record({
    destinationPort: fc.constantFrom(undefined, 443, 80),
    destinationRanges: fc.subarray([range('10.0.0.0/8'), range('10.1.0.0/16'), range('11.0.0.0/8')]),
    serverNames: fc.array(names, { maxLength: 2 }),
    transportProtocol: fc.constantFrom('tls' as const, 'raw_buffer' as const, '' as const),
    applicationProtocols: fc.subarray(['h2', 'http/1.1', 'x']),
  });
  fc.assert(
    fc.property(fc.array(match, { maxLength: 6 }), (matches) => {
      const chains = matches.map((one, index) => chain(String(index), one));
      const name = chosen(chains);
      const last = chosen(chains, {}, chain('last', {}));
      expect(last).toBe(name ?? 'last');
      if (name === undefined) return;
      const found = chains[Number(name)]?.match;
      expect([undefined, 443]).toContain(found?.destinationPort);
      expect(['', 'tls']).toContain(found?.transportProtocol);
      if (found?.destinationRanges.length)
        expect(found.destinationRanges.map(({ address }) => address).join()).toMatch(/10\./);
      if (found?.serverNames.length) expect(found.serverNames.join()).toMatch(/com/);
    }),
  );
});
