import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import {
  attachInbound,
  type InboundAttachment,
  type InboundServerOptions,
} from '../../../src/bindings/http/server.js';
import type { IdentitySource } from '../../../src/identity/source.js';
import { staticSource } from '../../../src/identity/source.js';
import { type InboundMode, type InboundPolicy, inboundPolicy } from '../../../src/mesh/inbound.js';
import type { ForwardedClientCert } from '../../../src/model/client-cert.js';
import { NO_OVERRIDES } from '../../../src/model/filter-config.js';
import type { FilterChain } from '../../../src/model/listener.js';
import { type Clock, systemClock } from '../../../src/runtime/clock.js';
import type { Logger } from '../../../src/runtime/log.js';
import { seededRandom } from '../../../src/runtime/random.js';
import { createSignal, type MutableSignal } from '../../../src/runtime/signal.js';
import type { Observer } from '../../../src/service/observer.js';
import type { Filter } from '../../../src/service/service.js';

/** A server under test with everything a test changes. */
export interface Inbound {
  readonly server: Server;
  readonly port: number;
  readonly url: string;
  readonly policy: MutableSignal<InboundPolicy>;
  readonly attachment: InboundAttachment;
  readonly log: {
    readonly level: string;
    readonly fields: Record<string, unknown>;
    readonly message: string;
  }[];
  close(): Promise<void>;
}

export interface InboundSetup {
  readonly mode: InboundMode;
  readonly identity?: IdentitySource;
  readonly filters?: readonly Filter[];
  readonly clientCert?: ForwardedClientCert;
  readonly observer?: Observer;
  readonly clock?: Clock;
  readonly sniffTimeoutMs?: number;
  readonly drainTimeoutMs?: number;
  readonly handshakes?: InboundServerOptions['handshakes'];
  readonly secrets?: InboundServerOptions['secrets'];
  readonly attach?: (server: Server) => void;
}

export async function startInbound(listener: RequestListener, setup: InboundSetup): Promise<Inbound> {
  const server = createServer(listener);
  setup.attach?.(server);
  const log: Inbound['log'] = [];
  const policy = createSignal(withClientCert(policyOf(setup.mode, setup.filters), setup.clientCert));
  const options: InboundServerOptions = {
    policy,
    identity: setup.identity ?? staticSource(undefined, []),
    clock: setup.clock ?? systemClock,
    random: seededRandom(1),
    logger: recordingLogger(log),
    observer: setup.observer ?? {},
    handshakes: setup.handshakes,
    secrets: setup.secrets,
    ...(setup.sniffTimeoutMs !== undefined && { sniffTimeoutMs: setup.sniffTimeoutMs }),
    ...(setup.drainTimeoutMs !== undefined && { drainTimeoutMs: setup.drainTimeoutMs }),
  };
  const attachment = attachInbound(server, options);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A TCP server has an AddressInfo.
  const { port } = server.address() as AddressInfo;
  return {
    server,
    port,
    url: `http://127.0.0.1:${port}`,
    policy,
    attachment,
    log,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await attachment.close();
      await closed;
    },
  };
}

function withClientCert(policy: InboundPolicy, clientCert: ForwardedClientCert | undefined): InboundPolicy {
  if (clientCert === undefined) return policy;
  const { tls, plaintext } = policy;
  return {
    ...policy,
    tls: tls && { ...tls, clientCert },
    plaintext: plaintext && { ...plaintext, clientCert },
  };
}

export function policyOf(mode: InboundMode, filters: readonly Filter[] = []): InboundPolicy {
  const http = {
    routes: {
      kind: 'inline',
      config: {
        name: 'inbound',
        virtualHosts: [
          {
            name: 'inbound',
            domains: ['*'],
            routes: [
              {
                name: '',
                match: {
                  path: { kind: 'prefix', value: '/', caseSensitive: true },
                  headers: [],
                  queryParameters: [],
                  runtimeFraction: undefined,
                  grpcOnly: false,
                },
                action: { kind: 'non-forwarding' },
                filterOverrides: NO_OVERRIDES,
              },
            ],
            retryPolicy: undefined,
            filterOverrides: NO_OVERRIDES,
            includeRequestAttemptCount: false,
          },
        ],
      },
    },
    filters: [],
  } as const;
  const tls: FilterChain = {
    name: 'tls',
    transportProtocol: 'tls',
    tls: { requireClientCertificate: true, alpn: [] },
    http,
  };
  const plaintext: FilterChain = { name: 'plaintext', transportProtocol: 'raw_buffer', tls: undefined, http };
  const filterChains = [
    ...(mode === 'strict' || mode === 'permissive' ? [tls] : []),
    ...(mode === 'disable' || mode === 'permissive' ? [plaintext] : []),
  ];
  return inboundPolicy(
    { kind: 'inbound', name: 'inbound', address: undefined, filterChains },
    { buildFilters: () => filters },
  );
}

function recordingLogger(log: Inbound['log']): Logger {
  const at = (level: string) => (fields: Readonly<Record<string, unknown>>, message: string) => {
    log.push({ level, fields: { ...fields }, message });
  };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

export function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export async function readAll(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** An application that answers with the digest of what it got. */
export const digest: RequestListener = (request, response) => {
  readAll(request).then(
    (body) => response.end(sha256(body)),
    () => response.destroy(),
  );
};

/** A bare TCP client that keeps what it received. */
export async function openSocket(port: number): Promise<Socket & { received(): string }> {
  const socket = connect(port, '127.0.0.1');
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  await once(socket, 'connect');
  return Object.assign(socket, { received: () => text });
}

/** Waits until a server has accepted so many connections. */
export async function accepted(server: Server, connections: number): Promise<void> {
  const count = () => new Promise<number>((resolve) => server.getConnections((_, n) => resolve(n)));
  while ((await count()) < connections) await new Promise(setImmediate);
}

/** Settles when the socket is gone, with the error that ended it or undefined. */
export function whenClosed(socket: Socket): Promise<Error | undefined> {
  return new Promise((resolve) => {
    let error: Error | undefined;
    socket.on('error', (cause) => {
      error = cause;
    });
    socket.on('close', () => resolve(error));
  });
}
