import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import type { SessionState } from '../model/stateful-session.js';
import { readCookie } from '../routing/cookies.js';
import type { Clock } from '../runtime/clock.js';
import type { HeaderMap } from '../service/headers.js';
import type { RequestHead } from '../service/service.js';

/** How the host of a session travels between caller and mesh. */
export interface SessionCarrier {
  /** Whether the request may have a session at all. */
  applies(head: RequestHead): boolean;
  /** The `address:port` that the request asks for. */
  read(head: RequestHead): string | undefined;
  /** Tells the caller which host to ask for. */
  write(headers: HeaderMap, address: string): void;
}

/** The carrier of a configuration. */
export function sessionCarrier(state: SessionState, clock: Pick<Clock, 'wallTime'>): SessionCarrier {
  return state.kind === 'header' ? headerCarrier(state.name) : cookieCarrier(state, clock);
}

/** Envoy `envoy.http.stateful_session.header`: base64 of the address. */
function headerCarrier(name: string): SessionCarrier {
  return {
    applies: () => true,
    read: ({ headers }) => {
      const value = headers.get(name);
      return value === undefined ? undefined : decodeBase64(value)?.toString('utf8') || undefined;
    },
    write: (headers, address) => headers.set(name, Buffer.from(address).toString('base64')),
  };
}

/** Envoy `envoy.http.stateful_session.cookie`: base64 of a small message with the address and when it expires. */
function cookieCarrier(
  state: Extract<SessionState, { kind: 'cookie' }>,
  clock: Pick<Clock, 'wallTime'>,
): SessionCarrier {
  const { name, ttlSeconds, path, attributes } = state;
  const tail = [
    ...(ttlSeconds > 0 ? [`Max-Age=${ttlSeconds}`] : []),
    ...(path === '' ? [] : [`Path=${path}`]),
    ...attributes.map((one) => (one.value === '' ? one.name : `${one.name}=${one.value}`)),
    'HttpOnly',
  ].join('; ');
  const now = () => Math.floor(clock.wallTime() / 1000);
  return {
    applies: pathTest(path),
    read: ({ headers }) => {
      const value = readCookie(headers, name);
      const bytes = value === '' ? undefined : decodeBase64(value);
      return bytes && readAddress(bytes, now());
    },
    write: (headers, address) => {
      const expires = ttlSeconds > 0 ? now() + ttlSeconds : 0;
      const value = Buffer.from(writeAddress(address, expires)).toString('base64');
      headers.append('set-cookie', `${name}="${value}"; ${tail}`);
    },
  };
}

/** RFC 6265 §5.1.4: the cookie's path, or what is below it. */
function pathTest(path: string): (head: RequestHead) => boolean {
  if (path === '' || path === '/') return () => true;
  if (path.endsWith('/')) return (head) => head.path.startsWith(path);
  return (head) => head.path.startsWith(path) && ['/', '?', '#', undefined].includes(head.path[path.length]);
}

/** Envoy's message `Cookie`: the address is field 1, the second at which it expires field 2. */
function writeAddress(address: string, expires: number): Uint8Array {
  const writer = new BinaryWriter().tag(1, WireType.LengthDelimited).string(address);
  if (expires > 0) writer.tag(2, WireType.Varint).uint64(expires);
  return writer.finish();
}

/** What is no such message is taken for the address itself, as older proxies wrote it. */
function readAddress(bytes: Buffer, nowSeconds: number): string | undefined {
  let address = '';
  let expires = 0;
  try {
    const reader = new BinaryReader(bytes);
    while (reader.pos < reader.len) {
      const [field, type] = reader.tag();
      if (field === 1 && type === WireType.LengthDelimited) address = reader.string();
      else if (field === 2 && type === WireType.Varint) expires = Number(reader.uint64());
      else reader.skip(type, field);
    }
    if (reader.pos !== reader.len) throw new RangeError('premature end');
  } catch {
    return bytes.toString('utf8') || undefined;
  }
  if (expires !== 0 && nowSeconds > expires) return undefined;
  return address || undefined;
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** Undefined for anything but padded standard base64. */
function decodeBase64(text: string): Buffer | undefined {
  return BASE64.test(text) ? Buffer.from(text, 'base64') : undefined;
}
