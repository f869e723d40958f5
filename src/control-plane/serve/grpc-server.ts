import type { AddressInfo } from 'node:net';
import { createServer as createTcpServer } from 'node:net';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:tls';
import type {
  ConnectionInjector,
  Server as GrpcServer,
  ServiceDefinition,
  UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { MeshTls } from '../../identity/tls-options.js';
import type { Clock } from '../../runtime/clock.js';
import { codeOf, MeshError, messageOf } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/log.js';
import { type AccessOptions, accessInterceptor } from './access.js';
import type { CallerTable } from './caller.js';
import { PeerLimits } from './peer-limits.js';
import type { SocketTable } from './socket-table.js';

export interface GrpcServerOptions {
  readonly host: string;
  /** Loopback address of the plaintext port. */
  readonly local: string;
  /** Plaintext; false = none. */
  readonly port: number | false;
  /** TLS, client certificate optional. */
  readonly securePort: number;
  readonly services: readonly { readonly definition: ServiceDefinition; readonly implementation: object }[];
  readonly tls: MeshTls;
  readonly callers: CallerTable;
  readonly sockets: SocketTable;
  readonly access: Pick<AccessOptions, 'authenticate' | 'trustsLoopback' | 'audit'>;
  readonly limits?: ConnectionLimits & AccessLimits;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What an address may cost before anybody knows who is behind it. Without these limits processes of this machine are not counted. */
export interface AccessLimits {
  /** TLS handshakes of one address (IPv6: /64) in a second; four times as many at once. Default 100. */
  readonly handshakesPerSecond?: number;
  /** Calls of one address without a client certificate in a second; four times as many at once. Default 50. */
  readonly callsPerSecond?: number;
}

/** Limits of connections. */
export interface ConnectionLimits {
  /** Connections of both ports together. Default 20 000. */
  readonly connections?: number;
  /** Bytes of a request. Default 16 MiB. */
  readonly requestBytes?: number;
  /** A connection is ended after about that time, so that clients spread anew; 0 = never. Default 0. */
  readonly connectionAgeMs?: number;
}

/** The gRPC side of the control plane. */
export interface RunningGrpcServer {
  /** `host:port` of the plaintext port; empty when there is none. */
  readonly address: string;
  readonly secureAddress: string;
  close(): Promise<void>;
}

function channelOptions({ requestBytes = 16 * 1024 * 1024, connectionAgeMs = 0 }: ConnectionLimits) {
  return {
    // As istiod: half-open clients are found within 40 s.
    'grpc.keepalive_time_ms': 30_000,
    'grpc.keepalive_timeout_ms': 10_000,
    'grpc.max_concurrent_streams': 100_000,
    'grpc.max_receive_message_length': requestBytes,
    // grpc-js spreads the age of connections by 10 % itself.
    ...(connectionAgeMs > 0 && {
      'grpc.max_connection_age_ms': connectionAgeMs,
      'grpc.max_connection_age_grace_ms': 10_000,
    }),
  };
}

/**
 * Listens on both ports. Sockets are ours and handed to grpc-js, so that the secure one is TLS 1.3 without
 * resumption, verifies client certificates as SPIFFE demands, and takes new certificates without a restart.
 */
export async function startGrpcServer(options: GrpcServerOptions): Promise<RunningGrpcServer> {
  const grpc = await import('@grpc/grpc-js');
  const { Server, ServerCredentials } = grpc;
  const { callers, clock, logger, limits = {} } = options;
  const server: GrpcServer = new Server({
    ...channelOptions(limits),
    interceptors: [
      accessInterceptor(grpc, {
        ...options.access,
        callers,
        limits: peerLimits(limits.callsPerSecond, 50, clock),
        clock,
        logger,
      }),
    ],
  });
  for (const { definition, implementation } of options.services) {
    // grpc-js types implementations by an index signature.
    server.addService(definition, implementation as UntypedServiceImplementation);
  }
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const { connections = 20_000 } = options.limits ?? {};
  const plain = createTcpServer((socket) => {
    if (options.sockets.admit(socket, connections)) injector.injectConnection(socket);
  });
  const secure = secureServer(options, injector);
  const detach = options.tls.attach(secure);
  const bound: (typeof plain)[] = [];
  try {
    const address = options.port === false ? '' : await listen(plain, options.local, options.port, 'xDS');
    if (options.port !== false) bound.push(plain);
    const secureAddress = await listen(secure, options.host, options.securePort, 'secure xDS');
    bound.push(secure);
    return {
      address,
      secureAddress,
      async close() {
        detach();
        const stopped = bound.map((one) => new Promise<void>((resolve) => void one.close(() => resolve())));
        injector.destroy();
        server.forceShutdown();
        await Promise.all(stopped);
      },
    };
  } catch (error) {
    detach();
    for (const one of bound) one.close();
    server.forceShutdown();
    throw error;
  }
}

function secureServer(
  { tls, callers, sockets, limits = {}, clock, logger }: GrpcServerOptions,
  injector: ConnectionInjector,
): TlsServer {
  // A client that joins for the first time has no certificate yet; one that presents a certificate must hold.
  const server = createTlsServer(tls.serverOptions({ alpn: ['h2'], requireClientCertificate: false }));
  const handshakes = peerLimits(limits.handshakesPerSecond, 100, clock);
  // Before the handshake, which costs the most.
  server.on('connection', (socket) => {
    if (!sockets.admit(socket, limits.connections ?? 20_000)) return;
    if (!handshakes.take(socket.remoteAddress ?? '')) socket.destroy();
  });
  server.on('secureConnection', (socket) => {
    socket.on('error', () => {});
    try {
      callers.admit(socket, tls);
    } catch (error) {
      logger.warn(
        { peer: socket.remoteAddress, error: messageOf(error) },
        'a client certificate was refused',
      );
      socket.destroy();
      return;
    }
    injector.injectConnection(socket);
  });
  server.on('tlsClientError', (error, socket) => {
    logger.debug({ peer: socket.remoteAddress, error: error.message }, 'a TLS handshake failed');
  });
  return server;
}

function peerLimits(given: number | undefined, normal: number, clock: Clock): PeerLimits {
  const perSecond = given ?? normal;
  return new PeerLimits({ perSecond, burst: 4 * perSecond, countsLoopback: given !== undefined }, clock);
}

/** Listens and gives the address; a port in use is an error that says so. */
export function listen(
  server: {
    listen(options: { host: string; port: number }, done: () => void): unknown;
    address(): AddressInfo | string | null;
    once(event: 'error', listener: (error: Error) => void): unknown;
    off(event: 'error', listener: (error: Error) => void): unknown;
  },
  host: string,
  port: number,
  what: string,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const failed = (cause: Error) => reject(listenError(cause, `${host}:${port}`, what));
    server.once('error', failed);
    server.listen({ host, port }, () => {
      server.off('error', failed);
      const address = server.address();
      const bound = typeof address === 'object' && address !== null ? address.port : port;
      resolve(`${host}:${bound}`);
    });
  });
}

function listenError(cause: Error, resource: string, what: string): MeshError {
  if (codeOf(cause) === 'EADDRINUSE') {
    return new MeshError('INMESH_PORT_IN_USE', `the ${what} port is in use`, {
      resource,
      cause,
      hint: 'Stop the other program (is a control plane running already?) or choose another port; 0 takes any free one',
    });
  }
  return new MeshError('INMESH_LISTEN_FAILED', `the ${what} port could not be opened: ${cause.message}`, {
    resource,
    cause,
    hint: 'Check the address and the permission to use the port',
  });
}
