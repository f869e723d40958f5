import * as grpc from '@grpc/grpc-js';
import { afterEach, describe, expect, test } from 'vitest';
import { TestClient } from './interop-service.js';
import { answer, answerOnly, frame, type Script, serveScripts } from './scripted-server.js';
import { clientOf, grpcMesh } from './support.js';

/** What the service config of a client says of retries, over the mesh and without it. */

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const config = (policy: object, rest: object = {}) => ({
  'grpc.service_config': JSON.stringify({ methodConfig: [{ name: [{}], ...policy }], ...rest }),
});

const RETRY = {
  retryPolicy: {
    maxAttempts: 3,
    initialBackoff: '0.01s',
    maxBackoff: '0.02s',
    backoffMultiplier: 1,
    retryableStatusCodes: ['UNAVAILABLE'],
  },
};
const HEDGE = {
  hedgingPolicy: { maxAttempts: 3, hedgingDelay: '0.05s', nonFatalStatusCodes: ['UNAVAILABLE'] },
};

const UNAVAILABLE = answerOnly({ ':status': 200, 'grpc-status': 14, 'grpc-message': 'not now' });
const FINE = answer({ pieces: [frame('')] });

/** A server whose calls run these scripts, one after the other. */
async function serve(...scripts: readonly Script[]) {
  const bodies: string[] = [];
  const resets: number[] = [];
  let next = 0;
  const server = await serveScripts({
    EmptyCall: (stream) => {
      const index = next++;
      stream.once('close', () => {
        if (stream.rstCode === 8) resets.push(index);
      });
      scripts[index]?.(stream);
    },
    StreamingInputCall: (stream) => {
      const index = next++;
      let body = '';
      stream.on('data', (chunk: Buffer) => {
        body += chunk.toString('latin1');
      });
      stream.on('end', () => {
        bodies.push(body);
        scripts[index]?.(stream);
      });
    },
  });
  closers.push(() => server.close());
  return { port: server.port, bodies, resets };
}

type Way = 'mesh' | 'plain';

function client(way: Way, port: number, options: grpc.ClientOptions, action = {}): TestClient {
  if (way === 'plain') {
    const plain = new TestClient(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), {
      ...options,
      'grpc.use_local_subchannel_pool': 1,
    });
    closers.push(() => plain.close());
    return plain;
  }
  const mesh = grpcMesh([port], { action });
  closers.push(() => mesh.close());
  return clientOf(mesh, options);
}

function call(one: TestClient): Promise<string> {
  return new Promise((resolve) => {
    one.emptyCall({}, new grpc.Metadata(), {}, (error) =>
      resolve(error === null ? 'OK' : (grpc.status[error.code] ?? '')),
    );
  });
}

describe.each(['mesh', 'plain'] as const)('a service config, %s', (way) => {
  test('retries what it names, and no more often than it says', async () => {
    const good = await serve(UNAVAILABLE, UNAVAILABLE, FINE);
    expect(await call(client(way, good.port, config(RETRY)))).toBe('OK');
    const bad = await serve(UNAVAILABLE, UNAVAILABLE, UNAVAILABLE, FINE);
    expect(await call(client(way, bad.port, config(RETRY)))).toBe('UNAVAILABLE');
    const other = await serve(answerOnly({ ':status': 200, 'grpc-status': 13 }), FINE);
    expect(await call(client(way, other.port, config(RETRY)))).toBe('INTERNAL');
  });

  test('a server may forbid more attempts', async () => {
    const pushback = answerOnly({ ':status': 200, 'grpc-status': 14, 'grpc-retry-pushback-ms': '-1' });
    const { port } = await serve(pushback, FINE);
    expect(await call(client(way, port, config(RETRY)))).toBe('UNAVAILABLE');
  });

  test('sends all messages of a stream again', async () => {
    const { port, bodies } = await serve(UNAVAILABLE, FINE);
    const one = client(way, port, config(RETRY));
    const outcome = await new Promise<string>((resolve) => {
      const stream = one.streamingInputCall(new grpc.Metadata(), {}, (error) =>
        resolve(error === null ? 'OK' : (grpc.status[error.code] ?? '')),
      );
      for (const body of ['one', 'two']) stream.write({ payload: { body: Buffer.from(body) } });
      stream.end();
    });
    expect(outcome).toBe('OK');
    expect(bodies).toHaveLength(2);
    expect(bodies[1]).toBe(bodies[0]);
    expect(bodies[0]).toContain('two');
  });

  test('hedging: a second attempt answers while the first hangs, which is cancelled', async () => {
    const { port, resets } = await serve(() => {}, FINE);
    expect(await call(client(way, port, config(HEDGE)))).toBe('OK');
    await new Promise<void>((resolve) => {
      const look = () => (resets.length > 0 ? resolve() : setImmediate(look));
      look();
    });
    expect(resets).toEqual([0]);
  });

  test('throttled retries are none', async () => {
    const { port } = await serve(UNAVAILABLE, FINE);
    const throttled = config(RETRY, { retryThrottling: { maxTokens: 2, tokenRatio: 0.1 } });
    expect(await call(client(way, port, throttled))).toBe('UNAVAILABLE');
  });
});

test("a route's own policy is the one that holds", async () => {
  const { port } = await serve(UNAVAILABLE, FINE);
  const retryPolicy = {
    retryOn: ['internal'],
    numRetries: 3,
    perTryTimeoutMs: undefined,
    retriableStatusCodes: [],
    baseIntervalMs: 1,
    maxIntervalMs: 1,
    avoidPreviousHosts: false,
    hostSelectionAttempts: 1,
  };
  expect(await call(client('mesh', port, config(RETRY), { retryPolicy }))).toBe('UNAVAILABLE');
});
