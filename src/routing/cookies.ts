import type { HeaderMap } from '../service/headers.js';

/**
 * The value of a cookie of the request, without the quotes that may be around it; the first counts. Empty when there is
 * none (Envoy does not tell the two apart).
 */
export function readCookie(headers: HeaderMap, name: string): string {
  const lines = headers.toLines();
  for (let i = 0; i < lines.length; i += 2) {
    if (lines[i] !== 'cookie') continue;
    const value = findInLine(lines[i + 1] ?? '', name);
    if (value !== undefined) return value;
  }
  return '';
}

function findInLine(line: string, name: string): string | undefined {
  let at = 0;
  while (at < line.length) {
    let end = line.indexOf(';', at);
    if (end < 0) end = line.length;
    while (at < end && line[at] === ' ') at++;
    const value = at + name.length;
    // A piece without `=` is no cookie.
    if (line[value] === '=' && value < end && line.startsWith(name, at)) {
      return unquote(line.slice(value + 1, end));
    }
    at = end + 1;
  }
  return undefined;
}

function unquote(value: string): string {
  return value.length >= 2 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
}
