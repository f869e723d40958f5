import * as grpc from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { World } from '../mesh/features-world.js';
import type { StreamingOutputCallResponse } from './interop-messages.js';
import type { TestClient } from './interop-service.js';
import {
  bareClient,
  credentialsOf,
  type GrpcMember,
  metadataOf,
  outcomeOf,
  serveGrpc,
} from './server-support.js';

let world: World;
let member: GrpcMember;
const clients = new Map<string, TestClient>();

beforeAll(async () => {
  world = await World.start('');
  member = await serveGrpc(world);
  const other = await world.join();
  clients.set('plaintext', bareClient(world, member.port));
  clients.set('mTLS', bareClient(world, member.port, credentialsOf(other)));
});

afterAll(() => world.close());

describe.each(['plaintext', 'mTLS'])('bare clients over %s', (kind) => {
  // Made above.
  const client = () => clients.get(kind) as TestClient;

  test('unary calls', async () => {
    expect(await outcomeOf(client())).toEqual(['OK', '']);
  });

  test('calls whose request is a stream', async () => {
    const size = await new Promise<number | undefined>((resolve, reject) => {
      const call = client().streamingInputCall(new grpc.Metadata(), {}, (error, answer) =>
        error === null ? resolve(answer?.aggregatedPayloadSize) : reject(error),
      );
      for (const bytes of [27_182, 8, 1828, 45_904])
        call.write({ payload: { type: 0, body: Buffer.alloc(bytes) } });
      call.end();
    });
    expect(size).toBe(74_922);
  });

  test('calls whose answer is a stream', async () => {
    const sizes = [31_415, 9, 2653, 58_979];
    const call = client().streamingOutputCall({ responseParameters: sizes.map((size) => ({ size })) });
    expect(await sizesOf(call)).toEqual(sizes);
  });

  test('calls that are a stream both ways, one message at a time', async () => {
    const call = client().fullDuplexCall();
    const seen: number[] = [];
    const sizes = [31_415, 9, 2653, 58_979];
    const ask = () => {
      const size = sizes[seen.length];
      if (size === undefined) call.end();
      else call.write({ responseParameters: [{ size }] });
    };
    ask();
    for await (const message of call as AsyncIterable<StreamingOutputCallResponse>) {
      seen.push(message.payload?.body?.byteLength ?? 0);
      ask();
    }
    expect(seen).toEqual(sizes);
  });

  test('metadata both ways, binary too', async () => {
    const call = client().fullDuplexCall(
      metadataOf({ 'x-grpc-test-echo-initial': 'test_initial_metadata_value' }),
    );
    const metadata = await new Promise<grpc.Metadata>((resolve) => {
      call.on('metadata', resolve);
      call.resume();
      call.end();
    });
    expect(metadata.get('x-grpc-test-echo-initial')).toEqual(['test_initial_metadata_value']);
  });
});

async function sizesOf(call: AsyncIterable<StreamingOutputCallResponse>): Promise<number[]> {
  const sizes: number[] = [];
  for await (const { payload } of call) sizes.push(payload?.body?.byteLength ?? 0);
  return sizes;
}
