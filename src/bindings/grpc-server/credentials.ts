import type { SecureContextOptions } from 'node:tls';
import { ServerCredentials } from '@grpc/grpc-js';
import { createMeshTls } from '../../identity/tls-options.js';
import type { Mesh } from '../join.js';
import { servingOf } from '../serving.js';

const known = new WeakSet<object>();

/** Whether credentials are those of {@link meshServerCredentials}. */
export function isMeshCredentials(credentials: ServerCredentials): boolean {
  return known.has(credentials);
}

/**
 * Credentials of a server that its owner builds: mutual TLS 1.3 with this process's certificate, which is renewed while the
 * server runs. Who is at the other end is checked by {@link meshServerInterceptors}, call by call; plaintext is refused.
 */
export function meshServerCredentials(mesh: Mesh): ServerCredentials {
  const credentials = new MeshServerCredentials(mesh);
  known.add(credentials);
  return credentials;
}

/** grpc-js asks credentials for the options of its TLS server, and is told when they change. */
class MeshServerCredentials extends ServerCredentials {
  readonly #mesh: Mesh;

  constructor(mesh: Mesh) {
    const { clock, identity } = servingOf(mesh).mesh;
    const tls = createMeshTls(identity, { clock });
    const context = (): SecureContextOptions | null => {
      try {
        const { cert, key, ca, minVersion, maxVersion, secureOptions } = tls.serverOptions();
        return { cert, key, ca, minVersion, maxVersion, secureOptions };
      } catch {
        // No certificate yet: connections are dropped until there is one.
        return null;
      }
    };
    super({ requestCert: true, rejectUnauthorized: true, handshakeTimeout: 10_000 }, context() ?? undefined);
    this.#mesh = mesh;
    tls.onUpdate(() => this.updateSecureContextOptions(context()));
  }

  override _equals(other: ServerCredentials): boolean {
    return other instanceof MeshServerCredentials && other.#mesh === this.#mesh;
  }
}
