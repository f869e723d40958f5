import type { X509Certificate } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import type { ConnectionInfo, PeerCertificate, SocketEnd, TlsInfo } from '../../service/connection.js';
import { StreamSocket } from './http2/stream-socket.js';

const known = new WeakMap<Duplex, ConnectionInfo>();
let nextId = 1;

/** What is known about the connection of a request; each connection has one such object, filled when asked. */
export function connectionInfo(given: Duplex): ConnectionInfo {
  const socket = given instanceof StreamSocket ? given.carrier : given;
  let info = known.get(socket);
  if (info === undefined) {
    info = new SocketInfo(socket, nextId++);
    known.set(socket, info);
  }
  return info;
}

interface SocketFields {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
  readonly localAddress?: string | undefined;
  readonly localPort?: number | undefined;
}

class SocketInfo implements ConnectionInfo {
  readonly id: number;
  readonly #socket: Duplex & SocketFields;
  #remote: SocketEnd | undefined;
  #local: SocketEnd | undefined;
  #tls: TlsInfo | undefined;

  constructor(socket: Duplex & SocketFields, id: number) {
    this.#socket = socket;
    this.id = id;
  }

  get directRemote(): SocketEnd | undefined {
    // A closed socket forgets its ends, and the log comes last.
    this.#remote ??= endOf(this.#socket.remoteAddress, this.#socket.remotePort);
    return this.#remote;
  }

  get remote(): SocketEnd | undefined {
    return this.directRemote;
  }

  get local(): SocketEnd | undefined {
    this.#local ??= endOf(this.#socket.localAddress, this.#socket.localPort);
    return this.#local;
  }

  get tls(): TlsInfo | undefined {
    if (this.#tls === undefined && this.#socket instanceof TLSSocket) this.#tls = tlsOf(this.#socket);
    return this.#tls;
  }
}

function endOf(address: string | undefined, port: number | undefined): SocketEnd | undefined {
  if (address === undefined) return undefined;
  // A dual-stack server sees IPv4 callers in this form.
  return { address: address.replace(/^::ffff:(?=\d+\.)/, ''), port: port ?? 0 };
}

function tlsOf(socket: TLSSocket): TlsInfo {
  const certificate = socket.getPeerX509Certificate();
  const own = socket.getX509Certificate();
  const { servername } = socket as { servername?: string | false };
  return {
    serverName: typeof servername === 'string' ? servername : undefined,
    version: socket.getProtocol() ?? '',
    cipher: socket.getCipher()?.standardName ?? '',
    sessionId: socket.getSession()?.toString('hex').slice(0, 64),
    alpn: typeof socket.alpnProtocol === 'string' ? socket.alpnProtocol : undefined,
    peer: certificate && certificateInfo(certificate),
    peerVerified: socket.authorized || certificate !== undefined,
    localUriSan: own && sansOf(own, 'URI')[0],
  };
}

/** What a certificate says, as filters and logs read it. */
export function certificateInfo(certificate: X509Certificate): PeerCertificate {
  return {
    uriSans: sansOf(certificate, 'URI'),
    dnsSans: sansOf(certificate, 'DNS'),
    subject: distinguishedName(certificate.subject),
    issuer: distinguishedName(certificate.issuer),
    serial: certificate.serialNumber.toLowerCase(),
    sha256: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
    notBeforeMs: Date.parse(certificate.validFrom),
    notAfterMs: Date.parse(certificate.validTo),
    pem: certificate.toString(),
  };
}

/** One name of Node's list: a name with a comma, a quote or the like stands in quotes, as JSON writes it. */
const SAN = /([^:]*):(?:("(?:[^"\\]|\\.)*")|([^"][^,]*|))(?:, |$)/gsy;

/** The URIs that a certificate names its holder by. */
export function uriSansOf(certificate: X509Certificate): readonly string[] {
  return sansOf(certificate, 'URI');
}

/** Names of a kind; a list that can't be read has none, so that nobody takes a name by what another one contains. */
function sansOf({ subjectAltName = '' }: X509Certificate, kind: 'URI' | 'DNS'): readonly string[] {
  const names: string[] = [];
  let end = 0;
  for (const [all, type, quoted, plain = ''] of subjectAltName.matchAll(SAN)) {
    end += all.length;
    if (type === kind) names.push(quoted === undefined ? plain : String(JSON.parse(quoted)));
  }
  return end === subjectAltName.length ? names : [];
}

/** RFC 2253: the most specific part first. Node gives one part per line, the least specific first. */
function distinguishedName(lines: string | undefined): string {
  return (lines ?? '').split('\n').filter(Boolean).reverse().join(',');
}
