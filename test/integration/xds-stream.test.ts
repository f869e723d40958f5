import { status } from '@grpc/grpc-js';
import { afterEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/runtime/clock.js';
import type { MeshError } from '../../src/runtime/errors.js';
import { isLoopback } from '../../src/xds/channel-credentials.js';
import { createStreamOpener } from '../../src/xds/stream.js';
import { type EvilAds, type StreamHandler, startEvilAds } from './support/evil-ads.js';

const METHOD = '/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources';
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function serve(handler: StreamHandler): Promise<EvilAds> {
  const server = await startEvilAds(handler);
  closers.push(() => server.kill());
  return server;
}

async function connect(target: string, connectTimeoutMs = 5000) {
  const messages: Uint8Array[] = [];
  let wake = () => {};
  let isReady = false;
  let error: MeshError | undefined;
  const changed = () => wake();
  const open = createStreamOpener({ target, clock: systemClock, connectTimeoutMs });
  const stream = await open(METHOD, {
    onReady: () => {
      isReady = true;
      changed();
    },
    onMessage: (message) => {
      messages.push(message);
      changed();
    },
    onEnd: (cause) => {
      error = cause;
      changed();
    },
  });
  closers.push(() => stream.close());
  const until = async (done: () => boolean) => {
    while (!done()) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  return { stream, messages, until, isReady: () => isReady, error: () => error };
}

describe('the gRPC stream', () => {
  test('carries bytes both ways and says when it is ready', async () => {
    const { port } = await serve((stream) => ({
      onRequest: (bytes) => stream.send(Buffer.from([...bytes, 0])),
    }));
    const { stream, messages, until, isReady } = await connect(`127.0.0.1:${port}`);
    stream.send(new Uint8Array([1, 2]));
    await until(() => messages.length === 1);
    await until(isReady);
    expect([...(messages[0] ?? [])]).toEqual([1, 2, 0]);
  });

  test('takes messages of 16 MiB', async () => {
    const { port } = await serve((stream) => ({
      onRequest: () => stream.send(new Uint8Array(16 * 1024 * 1024)),
    }));
    const { stream, messages, until } = await connect(`127.0.0.1:${port}`);
    stream.send(new Uint8Array(1));
    await until(() => messages.length === 1);
    expect(messages[0]?.length).toBe(16 * 1024 * 1024);
  });

  test('a message beyond 64 MiB ends the stream', async () => {
    const { port } = await serve((stream) => ({
      onRequest: () => stream.send(new Uint8Array(65 * 1024 * 1024)),
    }));
    const { stream, until, error } = await connect(`127.0.0.1:${port}`);
    stream.send(new Uint8Array(1));
    await until(() => error() !== undefined);
    expect(error()?.message).toContain('RESOURCE_EXHAUSTED');
  });

  test('a refused connection ends it with the reason', async () => {
    const server = await startEvilAds(() => ({ onRequest: () => {} }));
    await server.kill();
    const { until, error } = await connect(`127.0.0.1:${server.port}`);
    await until(() => error() !== undefined);
    expect(error()).toMatchObject({ code: 'INMESH_CONTROL_PLANE_UNAVAILABLE' });
    expect(error()?.message).toContain('ECONNREFUSED');
  });

  test('an end and a failure of the server end it once, with the status', async () => {
    const { port } = await serve((stream) => ({
      onRequest: (bytes) =>
        bytes[0] === 1 ? stream.end() : stream.fail(status.PERMISSION_DENIED, 'not you'),
    }));
    for (const [first, text] of [
      [1, 'closed the stream'],
      [2, 'not you'],
    ] as const) {
      const { stream, until, error } = await connect(`127.0.0.1:${port}`);
      stream.send(new Uint8Array([first]));
      await until(() => error() !== undefined);
      expect(error()?.message).toContain(text);
    }
  });

  test('ignores the proxies of the environment', async () => {
    const { port } = await serve((stream) => ({ onRequest: (bytes) => stream.send(bytes) }));
    const before = process.env['grpc_proxy'];
    process.env['grpc_proxy'] = 'http://127.0.0.1:9';
    closers.push(() => {
      if (before === undefined) delete process.env['grpc_proxy'];
      else process.env['grpc_proxy'] = before;
    });
    const { stream, messages, until } = await connect(`127.0.0.1:${port}`);
    stream.send(new Uint8Array(1));
    await until(() => messages.length === 1);
  });

  test.each([
    ['127.0.0.1:15010', true],
    ['localhost:15010', true],
    ['[::1]:15010', true],
    ['unix:/run/xds', true],
    ['dns:///localhost:1', true],
    ['127.evil.example:1', false],
    ['10.0.0.1:15010', false],
    ['istiod.istio-system.svc:15010', false],
  ])('%s is on this machine: %s', (target, expected) => {
    expect(isLoopback(target)).toBe(expected);
  });
});
