import { create, toBinary } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { LISTENER } from '../../../src/codec/resource-types.js';
import { NO_LOCALITY } from '../../../src/model/endpoint.js';
import { packAny } from '../../../src/proto/any.js';
import { discovery, wkt } from '../../../src/proto/xds.js';
import { silentLogger } from '../../../src/runtime/log.js';
import { seededRandom } from '../../../src/runtime/random.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { createXdsClient } from '../../../src/xds/client.js';
import { xdsServer } from '../../../src/xds/server.js';
import type { StreamListener } from '../../../src/xds/stream.js';
import { routesTo } from './fixtures.js';

const NODE = {
  id: 'a',
  cluster: 'a',
  locality: NO_LOCALITY,
  metadata: { NAMESPACE: 'a', SERVICE_ACCOUNT: 'a', LABELS: {}, INSTANCE_IPS: '', GENERATOR: 'inmesh' },
};

/** A listener that needs nothing else. */
function body(name: string): wkt.Any {
  const value = LISTENER.encode({
    kind: 'outbound',
    name,
    http: {
      routes: { kind: 'inline', config: { ...routesTo('r'), virtualHosts: [] } },
      filters: [{ name: 'router', config: { kind: 'router' } }],
    },
  });
  return create(wkt.AnySchema, { typeUrl: LISTENER.typeUrl, value });
}

interface Sent {
  readonly name: string;
  readonly hasBody: boolean;
  readonly ttlSeconds?: number;
}

const wrap = ({ name, hasBody, ttlSeconds }: Sent) =>
  create(discovery.ResourceSchema, {
    name,
    version: '1',
    ...(hasBody && { resource: body(name) }),
    ...(ttlSeconds !== undefined && { ttl: { seconds: BigInt(ttlSeconds) } }),
  });

const MESSAGES = {
  sotw: (nonce: string, sent: readonly Sent[]) =>
    toBinary(
      discovery.DiscoveryResponseSchema,
      create(discovery.DiscoveryResponseSchema, {
        typeUrl: LISTENER.typeUrl,
        versionInfo: '1',
        nonce,
        resources: sent.map((one) => packAny(discovery.ResourceSchema, wrap(one))),
      }),
    ),
  delta: (nonce: string, sent: readonly Sent[]) =>
    toBinary(
      discovery.DeltaDiscoveryResponseSchema,
      create(discovery.DeltaDiscoveryResponseSchema, {
        typeUrl: LISTENER.typeUrl,
        nonce,
        resources: sent.map(wrap),
      }),
    ),
} as const;

describe.each(['sotw', 'delta'] as const)('a resource with a time to live (%s)', (protocol) => {
  test('is in force as long as it is renewed, with the control plane or without, and no longer', async () => {
    const clock = createFakeClock();
    let stream: StreamListener | undefined;
    const client = createXdsClient({
      node: NODE,
      servers: [xdsServer({ target: 'nowhere:1', protocol })],
      clock,
      random: seededRandom(1),
      logger: silentLogger,
      observer: {},
      openStream: () => async (_, listener) => {
        stream = listener;
        queueMicrotask(() => listener.onReady());
        return { send: () => {}, close: () => {} };
      },
    });
    const names = () => [...client.published.value.snapshot.outbound.keys()].sort();
    const send = async (nonce: string, ...sent: Sent[]) => {
      stream?.onMessage(MESSAGES[protocol](nonce, sent));
      await clock.advance(10);
    };
    await clock.advance(10);

    await send('1', { name: 'a:80', hasBody: true, ttlSeconds: 5 }, { name: 'b:80', hasBody: true });
    expect(names()).toEqual(['a:80', 'b:80']);
    await clock.advance(4000);
    await send('2', { name: 'a:80', hasBody: false, ttlSeconds: 5 });
    await clock.advance(4000);
    expect(names()).toEqual(['a:80', 'b:80']);
    await clock.advance(1000);
    expect(names()).toEqual(['b:80']);

    await send('3', { name: 'a:80', hasBody: true, ttlSeconds: 5 }, { name: 'b:80', hasBody: true });
    expect(names()).toEqual(['a:80', 'b:80']);
    await client.close();
    expect(clock.pending).toBe(0);
  });
});
