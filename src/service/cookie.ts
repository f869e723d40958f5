import type { HeaderMap } from './headers.js';

/** The value of the first cookie of that name, without quotes around it; undefined when there is none. */
export function findCookie(headers: HeaderMap, name: string): string | undefined {
  const lines = headers.toLines();
  for (let i = 0; i < lines.length; i += 2) {
    if (lines[i] !== 'cookie') continue;
    const value = findIn(lines[i + 1] ?? '', name);
    if (value !== undefined) return value;
  }
  return undefined;
}

/** Envoy: parts between `;`, spaces before the name are skipped, what has no `=` is no cookie. */
function findIn(line: string, name: string): string | undefined {
  let at = 0;
  while (at < line.length) {
    let end = line.indexOf(';', at);
    if (end < 0) end = line.length;
    while (at < end && line[at] === ' ') at++;
    const equals = line.indexOf('=', at);
    if (equals - at === name.length && equals < end && line.startsWith(name, at)) {
      return unquote(line.slice(equals + 1, end));
    }
    at = end + 1;
  }
  return undefined;
}

function unquote(value: string): string {
  return value.length >= 2 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
}

/** What a `set-cookie` header says besides name and value. */
export interface CookieOptions {
  /** 0 = for the session. */
  readonly maxAgeSeconds: number;
  /** May be empty. */
  readonly path: string;
  readonly attributes: readonly { readonly name: string; readonly value: string }[];
}

/** The value of a `set-cookie` header as Envoy writes it. */
export function setCookieValue(name: string, value: string, options: CookieOptions): string {
  const { maxAgeSeconds, path, attributes } = options;
  let text = `${name}="${value}"`;
  if (maxAgeSeconds !== 0) text += `; Max-Age=${maxAgeSeconds}`;
  if (path !== '') text += `; Path=${path}`;
  for (const one of attributes) text += one.value === '' ? `; ${one.name}` : `; ${one.name}=${one.value}`;
  return `${text}; HttpOnly`;
}
