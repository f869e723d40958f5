import { randomBytes } from 'node:crypto';

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** What a request line and a Host header may hold: anything else could pass for more than one. */
const VISIBLE = /^[!-~\x80-\xff]+$/;
const BAD_VALUE = /[\0\r\n]/;

/** RFC 9113 §8.2.2: no HTTP/2 message has these; who sends them anyway wants to confuse a translator. */
const FORBIDDEN: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);

/** A request of HTTP/2, as HTTP/1.1 says it. */
export interface RequestText {
  readonly method: string;
  readonly head: string;
  /** Whether the body follows in chunks. */
  readonly isChunked: boolean;
  /** What the stream is to become: a protocol in lower case, or `connect`. */
  readonly upgrade?: string | undefined;
}

/** A head of HTTP/2, sorted. */
interface SortedHead {
  readonly pseudo: ReadonlyMap<string, string>;
  readonly rows: string[];
  readonly host: string | undefined;
  readonly hasLength: boolean;
}

/** Translates a head (name, value, name, value); undefined when it can't be said in HTTP/1.1. */
export function requestText(raw: readonly string[], hasBody: boolean): RequestText | undefined {
  const sorted = sortHead(raw);
  if (sorted === undefined) return undefined;
  const { pseudo, rows, host, hasLength } = sorted;
  const method = pseudo.get(':method') ?? '';
  const path = pseudo.get(':path') ?? '';
  const authority = pseudo.get(':authority') ?? host ?? '';
  if (method === 'CONNECT') return tunnelText(pseudo, authority, rows);
  const isSayable = TOKEN.test(method) && VISIBLE.test(path) && (authority === '' || VISIBLE.test(authority));
  if (!isSayable || pseudo.has(':protocol')) return undefined;
  const isChunked = hasBody && !hasLength;
  if (isChunked) rows.push('transfer-encoding: chunked');
  const head = textOf([`${method} ${path} HTTP/1.1`, `host: ${authority}`, ...rows]);
  return { method, head, isChunked };
}

/** A CONNECT (RFC 9113 §8.5), or an upgrade that comes as one (RFC 8441 §4): then HTTP/1.1 says it by GET. */
function tunnelText(
  pseudo: ReadonlyMap<string, string>,
  authority: string,
  rows: readonly string[],
): RequestText | undefined {
  const protocol = pseudo.get(':protocol');
  if (!VISIBLE.test(authority)) return undefined;
  if (protocol === undefined) {
    if (pseudo.has(':path') || pseudo.has(':scheme')) return undefined;
    const head = textOf([`CONNECT ${authority} HTTP/1.1`, `host: ${authority}`, ...rows]);
    return { method: 'CONNECT', head, isChunked: false, upgrade: 'connect' };
  }
  const path = pseudo.get(':path') ?? '';
  if (!TOKEN.test(protocol) || !VISIBLE.test(path)) return undefined;
  const lines = [`GET ${path} HTTP/1.1`, `host: ${authority}`, 'connection: Upgrade', `upgrade: ${protocol}`];
  const upgrade = protocol.toLowerCase();
  const hasKey = rows.some((row) => row.startsWith('sec-websocket-key:'));
  // RFC 8441 §5: HTTP/2 has none, HTTP/1.1 demands one.
  if (upgrade === 'websocket' && !hasKey)
    lines.push(`sec-websocket-key: ${randomBytes(16).toString('base64')}`);
  return { method: 'GET', head: textOf([...lines, ...rows]), isChunked: false, upgrade };
}

function textOf(lines: readonly string[]): string {
  return [...lines, '', ''].join('\r\n');
}

function sortHead(raw: readonly string[]): SortedHead | undefined {
  const pseudo = new Map<string, string>();
  const rows: string[] = [];
  const cookies: string[] = [];
  let host: string | undefined;
  let hasLength = false;
  for (let i = 0; i < raw.length; i += 2) {
    const [name = '', value = ''] = [raw[i], raw[i + 1]];
    if (name.startsWith(':')) pseudo.set(name, value);
    else if (!isLine(name, value) || FORBIDDEN.has(name)) return undefined;
    else if (name === 'host') host ??= value;
    // RFC 9113 §8.2.3: crumbs become one header again.
    else if (name === 'cookie') cookies.push(value);
    else {
      hasLength ||= name === 'content-length';
      rows.push(`${name}: ${value}`);
    }
  }
  if (cookies.length > 0) rows.push(`cookie: ${cookies.join('; ')}`);
  return { pseudo, rows, host, hasLength };
}

/** Trailers as the end of a body in chunks. */
export function trailerText(raw: readonly string[]): string {
  let text = '0\r\n';
  for (let i = 0; i < raw.length; i += 2) {
    const [name = '', value = ''] = [raw[i], raw[i + 1]];
    if (isLine(name, value)) text += `${name}: ${value}\r\n`;
  }
  return `${text}\r\n`;
}

function isLine(name: string, value: string): boolean {
  return TOKEN.test(name) && !BAD_VALUE.test(value);
}
