import { once } from 'node:events';
import { createServer } from 'node:http2';
import { type AddressInfo, connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Http2Session } from '../../../src/bindings/http2/session.js';
import { DEFAULT_HTTP2_OPTIONS } from '../../../src/model/upstream-protocol.js';
import { systemClock } from '../../../src/runtime/clock.js';
import { seededRandom } from '../../../src/runtime/random.js';

const server = createServer();
let port: number;

beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  ({ port } = server.address() as AddressInfo);
});
afterAll(() => void server.close());

test('a connection that nobody needs any more ends at once, though its server said nothing yet', async () => {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  const closed = new Promise<void>((resolve) => {
    const session = new Http2Session(
      { socket, alpn: undefined, peerId: undefined, expiresAtMs: Number.POSITIVE_INFINITY },
      {
        http2: DEFAULT_HTTP2_OPTIONS,
        maxRequestsPerConnection: 0,
        idleTimeoutMs: 0,
        connectTimeoutMs: 60_000,
        clock: systemClock,
        random: seededRandom(1),
      },
      { ready: () => {}, changed: () => {}, closed: () => resolve() },
    );
    session.drain();
  });
  await closed;
  expect(socket.destroyed).toBe(true);
  // Sooner than by a time limit.
}, 30_000);
