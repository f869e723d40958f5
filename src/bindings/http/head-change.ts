import type { ServerResponse } from 'node:http';
import type { HeadChange } from '../../service/head-change.js';
import { HeaderMap } from '../../service/headers.js';

/** The headers that a response has so far. */
export function headersOf(response: ServerResponse): HeaderMap {
  const headers = HeaderMap.empty();
  for (const [name, value] of Object.entries(response.getHeaders())) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined) headers.append(name, String(one));
    }
  }
  return headers;
}

/**
 * Takes the arguments of `writeHead` into the response, lets them be changed, and gives the arguments that are left:
 * the status and its text.
 */
export function changeArguments(response: ServerResponse, args: unknown[], change: HeadChange): unknown[] {
  const [status, second, third] = args;
  const hasText = typeof second === 'string';
  takeHeaders(response, hasText ? third : (second ?? third));
  const headers = headersOf(response);
  change({ status: typeof status === 'number' ? status : response.statusCode, headers });
  const names = new Set<string>();
  for (const [name] of headers) names.add(name);
  for (const name of response.getHeaderNames()) if (!names.has(name)) response.removeHeader(name);
  for (const name of names) {
    const [only = '', ...more] = headers.getAll(name);
    response.setHeader(name, more.length === 0 ? only : [only, ...more]);
  }
  return hasText ? [status, second] : [status];
}

/** Headers as `writeHead` takes them: an object, a flat list, or a list of pairs. */
function takeHeaders(response: ServerResponse, given: unknown): void {
  if (typeof given !== 'object' || given === null) return;
  if (!Array.isArray(given)) {
    for (const [name, value] of Object.entries(given)) setOne(response, name, value);
    return;
  }
  const list: unknown[] = given.every((one) => Array.isArray(one)) ? given.flat(1) : given;
  const seen = new Set<string>();
  for (let i = 0; i + 1 < list.length; i += 2) {
    const name = String(list[i]);
    // The list replaces what was set before; within it, names may repeat.
    if (seen.has(name.toLowerCase())) response.appendHeader(name, String(list[i + 1]));
    else setOne(response, name, list[i + 1]);
    seen.add(name.toLowerCase());
  }
}

function setOne(response: ServerResponse, name: string, value: unknown): void {
  if (Array.isArray(value)) response.setHeader(name, value.map(String));
  else if (typeof value === 'string' || typeof value === 'number') response.setHeader(name, String(value));
}
