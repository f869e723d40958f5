import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import type { buildConnector as connectorTypes } from 'undici';
import type { TransportOptions } from '../../cluster/transport.js';
import { authorizeUris } from '../../identity/authorizer.js';
import { connectMeshTls } from '../../identity/connect.js';
import type { MeshTls } from '../../identity/tls-options.js';
import { peerNamePredicates } from '../../mesh/peer-names.js';
import type { Endpoint } from '../../model/endpoint.js';
import { buildConnector } from './library.js';

/** Hears who is at the other end of each new mTLS connection, and until when its certificates hold. */
export type PeerListener = (spiffeId: string, expiresAtMs: number) => void;

/** How an endpoint's pool opens connections: plaintext, TLS with the platform's roots, or mutual TLS of the mesh. */
export function createConnector(
  endpoint: Endpoint,
  options: TransportOptions,
  mesh: MeshTls,
  onPeer: PeerListener,
): connectorTypes.connector {
  const { tls, connectTimeoutMs } = options;
  if (tls === undefined) return dial(endpoint, 'http:', buildConnector({ timeout: connectTimeoutMs }));
  if (tls.mode === 'mesh') return meshConnector(endpoint, options, mesh, onPeer);
  const names = peerNamePredicates(tls);
  const connector = buildConnector({
    timeout: connectTimeoutMs,
    // No resumption: Node does not look at the certificate again when a session is resumed.
    maxCachedSessions: 0,
    servername: tls.sni ?? endpoint.hostname,
    // With names of its own the configuration replaces the check of the host's name (Envoy: any match is enough).
    checkServerIdentity: (host: string, certificate: PeerCertificate) =>
      names.length === 0 ? checkServerIdentity(host, certificate) : checkNames(names, certificate),
  });
  return dial(endpoint, 'https:', connector);
}

/** Connections go to the endpoint; the client's own URL says what the requests ask for. */
function dial(
  { address: { address, port } }: Endpoint,
  protocol: 'http:' | 'https:',
  connector: connectorTypes.connector,
): connectorTypes.connector {
  const target = { hostname: address, host: address, protocol, port: String(port) };
  return (_target, callback) => connector(target, callback);
}

function meshConnector(
  endpoint: Endpoint,
  { tls, connectTimeoutMs }: TransportOptions,
  mesh: MeshTls,
  onPeer: PeerListener,
): connectorTypes.connector {
  const { address: host, port } = endpoint.address;
  const authorizer = authorizeUris(tls === undefined ? [] : peerNamePredicates(tls));
  // This transport speaks HTTP/1.1 only, so it must not offer anything else.
  const alpn = [...new Set([...(tls?.alpn ?? []).filter((name) => name !== 'h2'), 'http/1.1'])];
  return (_target, callback) => {
    connectMeshTls(
      mesh,
      { host, port, sni: tls?.sni, alpn, authorizer, timeoutMs: connectTimeoutMs },
      (error, connection) => {
        if (connection === undefined) {
          callback(error ?? new Error('no connection'), null);
          return;
        }
        onPeer(connection.peer.id.toString(), connection.expiresAtMs);
        callback(null, connection.socket);
      },
    );
  };
}

function checkNames(
  names: readonly ((name: string) => boolean)[],
  certificate: PeerCertificate,
): Error | undefined {
  const offered = (certificate.subjectaltname ?? '')
    .split(', ')
    .map((entry) => entry.replace(/^[A-Za-z ]+:/, ''));
  if (offered.some((name) => names.some((matches) => matches(name)))) return undefined;
  return new Error(`the server's certificate names ${offered.join(', ')}, none of which is allowed`);
}
