import type { Socket } from 'node:net';
import { CallCredentials, ChannelCredentials } from '@grpc/grpc-js';
import type { Authorizer } from '../../identity/authorizer.js';
import { closeAtExpiry, connectMeshTls } from '../../identity/connect.js';
import type { IdentitySource } from '../../identity/source.js';
import { createMeshTls, type MeshTls } from '../../identity/tls-options.js';
import type { MeshCore } from '../../mesh/core.js';

/** A mesh, as `createMesh` gives it. */
interface HasIdentity {
  readonly core: MeshCore;
  readonly identity: IdentitySource;
}

type SecureConnector = ReturnType<ChannelCredentials['_createSecureConnector']>;
type Connected = Awaited<ReturnType<SecureConnector['connect']>>;

/** Whom {@link meshCredentials} accept. */
export interface MeshCredentialsOptions {
  /** Servers that are accepted; by default every workload of the own trust domain. */
  readonly authorizer?: Authorizer;
}

/**
 * Credentials for channels that find their servers without the mesh (DNS, addresses): mutual TLS 1.3 with this process's
 * certificate, whatever it is when a connection is made, and a server that proves a SPIFFE identity. A connection lives no
 * longer than the shorter of both certificates.
 */
export function meshCredentials(
  mesh: { readonly core: MeshCore; readonly identity: IdentitySource },
  options: MeshCredentialsOptions = {},
): ChannelCredentials {
  return new MeshCredentials(mesh, options);
}

class MeshCredentials extends ChannelCredentials {
  readonly #mesh: HasIdentity;
  readonly #tls: MeshTls;
  readonly #options: MeshCredentialsOptions;

  constructor(mesh: HasIdentity, options: MeshCredentialsOptions) {
    super();
    this.#mesh = mesh;
    this.#options = options;
    this.#tls = createMeshTls(mesh.identity, { clock: mesh.core.clock });
  }

  _isSecure(): boolean {
    return true;
  }

  _equals(other: ChannelCredentials): boolean {
    if (!(other instanceof MeshCredentials)) return false;
    return other.#mesh === this.#mesh && other.#options.authorizer === this.#options.authorizer;
  }

  _createSecureConnector(
    _target: unknown,
    _options: unknown,
    callCredentials: CallCredentials = CallCredentials.createEmpty(),
  ): SecureConnector {
    return {
      connect: (socket) => this.#connect(socket),
      // The connection says what is missing, in words.
      waitForReady: () => Promise.resolve(),
      getCallCredentials: () => callCredentials,
      destroy() {},
    };
  }

  #connect(socket: Socket): Promise<Connected> {
    const { authorizer } = this.#options;
    return new Promise((resolve, reject) => {
      connectMeshTls(this.#tls, { socket, alpn: ['h2'], authorizer }, (error, connection) => {
        if (connection === undefined) {
          reject(error ?? new Error('no connection'));
          return;
        }
        closeAtExpiry(connection.socket, connection.expiresAtMs, this.#tls.clock);
        resolve({ socket: connection.socket, secure: true });
      });
    });
  }
}
