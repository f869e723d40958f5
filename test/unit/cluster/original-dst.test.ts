import { describe, expect, test } from 'vitest';
import { destinationOf } from '../../../src/cluster/destination.js';
import type { OriginalDestination } from '../../../src/model/cluster.js';
import { HeaderMap } from '../../../src/service/headers.js';
import { ANY, request, world } from './fixtures.js';

const DISCOVERY: OriginalDestination = {
  kind: 'original-dst',
  header: undefined,
  metadata: undefined,
  port: undefined,
  cleanupIntervalMs: 5000,
};

function asked(authority: string, destination?: string) {
  const subject = request({ authority });
  subject.context.destination = destination;
  return subject;
}

describe('the destination of a request', () => {
  test.each([
    ['a.example:8080', undefined, 'http', 'a.example', 8080],
    ['A.example', undefined, 'http', 'a.example', 80],
    ['a.example', undefined, 'https', 'a.example', 443],
    ['rewritten', '10.0.0.1:9000', 'http', '10.0.0.1', 9000],
    ['rewritten', '[::1]:9000', 'http', '::1', 9000],
  ])('%s dialled as %s over %s goes to %s', (authority, destination, scheme, address, port) => {
    const subject = asked(authority, destination);
    subject.scheme = scheme;
    expect(destinationOf(subject, DISCOVERY)).toEqual({ address, port });
  });

  test('filter state comes before metadata, that before the header, that before what was dialled', () => {
    const discovery = { ...DISCOVERY, header: 'x-to', metadata: { namespace: 'n', keys: ['to'] } };
    const subject = asked('a:1');
    const to = () => destinationOf(subject, discovery)?.address;
    expect(to()).toBe('a');
    subject.headers = HeaderMap.from([['x-to', '10.0.0.2:2']]);
    expect(to()).toBe('10.0.0.2');
    subject.context.dynamicMetadata = new Map([['n', { to: '10.0.0.3:3' }]]);
    expect(to()).toBe('10.0.0.3');
    subject.context.filterState = new Map([
      ['envoy.network.transport_socket.original_dst_address', '10.0.0.4:4'],
    ]);
    expect(to()).toBe('10.0.0.4');
  });

  test('a header that is no address says nothing; the port may be replaced', () => {
    const subject = asked('a:1');
    subject.headers = HeaderMap.from([['x-to', 'nonsense']]);
    expect(destinationOf(subject, { ...DISCOVERY, header: 'x-to', port: 99 })).toEqual({
      address: 'a',
      port: 99,
    });
  });
});

describe('a cluster of original destinations', () => {
  test('makes hosts as they are asked for, keeps them, and forgets those that nobody uses', async () => {
    const { cluster, clock, network } = world();
    const runtime = cluster({ discovery: DISCOVERY, lbPolicy: { kind: 'cluster-provided' } }, undefined);
    const pick = (authority: string) => runtime.pick({ ...ANY, request: asked(authority) })!;
    await runtime.send(pick('a:1'), request());
    await runtime.send(pick('b:2'), request());
    expect(pick('a:1')).toBe(pick('a:1'));
    expect(runtime.stats().hosts.map(({ address }) => address)).toEqual(['a:1', 'b:2']);
    await clock.advance(5000);
    await runtime.send(pick('b:2'), request());
    await clock.advance(5000);
    expect(runtime.stats().hosts.map(({ address }) => address)).toEqual(['b:2']);
    expect([...network.open.keys()]).toEqual(['b:2']);
    await clock.advance(10_000);
    expect(runtime.hosts.size).toBe(0);
    expect(clock.pending).toBe(0);
    await runtime.close();
  });

  test('has nobody for what is no request', () => {
    const { cluster } = world();
    const runtime = cluster({ discovery: DISCOVERY, lbPolicy: { kind: 'cluster-provided' } }, undefined);
    expect(runtime.pick(ANY)).toBeUndefined();
    expect(runtime.pick({ ...ANY, request: asked('') })).toBeUndefined();
  });
});
