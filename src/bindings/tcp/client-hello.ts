import type { ClientHello } from '../../mesh/tcp/listener.js';

/** What the first bytes of a connection are. */
export type Inspected = ClientHello | 'not-tls' | 'more';

const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const SERVER_NAME = 0;
const ALPN = 16;
const HOST_NAME = 0;
/** Envoy reads no longer ClientHello than this. */
const MAX_BYTES = 64 * 1024;

/**
 * Reads the server name and the ALPN names of a ClientHello (RFC 8446 §4.1.2, RFC 6066 §3, RFC 7301 §3.1), as Envoy's TLS
 * inspector does. `more`: it is not complete yet. What does not hold what its lengths promise is not TLS.
 */
export function inspectClientHello(bytes: Buffer): Inspected {
  const message = handshakeOf(bytes);
  if (!Buffer.isBuffer(message)) return message;
  try {
    return readClientHello(message);
  } catch (error) {
    if (error instanceof RangeError) return 'not-tls';
    throw error;
  }
}

/** The handshake message that the first records carry, without its type and length. */
function handshakeOf(bytes: Buffer): Buffer | 'not-tls' | 'more' {
  const parts: Buffer[] = [];
  let length = 0;
  for (let at = 0; ; ) {
    const record = recordAt(bytes, at);
    if (!Buffer.isBuffer(record)) return record === 'more' && bytes.length > MAX_BYTES ? 'not-tls' : record;
    at += 5 + record.length;
    length += record.length;
    parts.push(record);
    if (length < 4) continue;
    const message = parts.length === 1 ? record : Buffer.concat(parts);
    if (message[0] !== CLIENT_HELLO) return 'not-tls';
    const size = message.readUIntBE(1, 3);
    if (size > MAX_BYTES) return 'not-tls';
    if (length >= 4 + size) return message.subarray(4, 4 + size);
  }
}

/** One TLS record's content. */
function recordAt(bytes: Buffer, at: number): Buffer | 'not-tls' | 'more' {
  const [type, major] = [bytes[at], bytes[at + 1]];
  if (type === undefined) return 'more';
  if (type !== HANDSHAKE || (major !== undefined && major !== 3)) return 'not-tls';
  if (bytes.length < at + 5) return 'more';
  const size = bytes.readUInt16BE(at + 3);
  // RFC 8446 §5.1: no record of a handshake is empty, none is longer.
  if (size === 0 || size > 16_384 + 256) return 'not-tls';
  return bytes.length < at + 5 + size ? 'more' : bytes.subarray(at + 5, at + 5 + size);
}

/** Reads what follows one another; a RangeError when there is less than it says. */
class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  number(size: 1 | 2): number {
    const value = this.#bytes.readUIntBE(this.#at, size);
    this.#at += size;
    return value;
  }

  take(size: number): Buffer {
    if (this.#at + size > this.#bytes.length) throw new RangeError('truncated');
    const part = this.#bytes.subarray(this.#at, this.#at + size);
    this.#at += size;
    return part;
  }

  /** A vector whose length comes first. */
  vector(lengthSize: 1 | 2): Buffer {
    return this.take(this.number(lengthSize));
  }
}

function readClientHello(message: Buffer): ClientHello {
  const reader = new Reader(message);
  // Version and random, session, cipher suites, compression.
  reader.take(34);
  reader.vector(1);
  reader.vector(2);
  reader.vector(1);
  let serverName = '';
  let applicationProtocols: readonly string[] = [];
  if (reader.isAtEnd) return { serverName, applicationProtocols };
  const extensions = new Reader(reader.vector(2));
  while (!extensions.isAtEnd) {
    const type = extensions.number(2);
    const content = new Reader(extensions.vector(2));
    if (type === SERVER_NAME) serverName = readServerName(content);
    else if (type === ALPN) applicationProtocols = readProtocols(content);
  }
  return { serverName, applicationProtocols };
}

function readServerName(content: Reader): string {
  const names = new Reader(content.vector(2));
  while (!names.isAtEnd) {
    const type = names.number(1);
    const name = names.vector(2);
    if (type === HOST_NAME) return name.toString('latin1').toLowerCase();
  }
  return '';
}

function readProtocols(content: Reader): readonly string[] {
  const list = new Reader(content.vector(2));
  const names: string[] = [];
  while (!list.isAtEnd) names.push(list.vector(1).toString('latin1'));
  return names;
}
