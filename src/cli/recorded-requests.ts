import { MeshError } from '../runtime/errors.js';

/** A request as the control plane is asked about it. */
export interface RecordedRequest {
  readonly method: string;
  readonly url: string;
  readonly from?: string;
  readonly headers?: readonly (readonly [string, string])[];
  /** How often it was recorded. */
  readonly count: number;
}

type Fields = Readonly<Record<string, unknown>>;

/** As many different ones as the control plane is asked about at once. */
const MAX_DISTINCT = 10_000;

/**
 * Reads recorded traffic, each request once with how often it was there: lines of JSON (`method` and `url`, or `authority`
 * and `path` as in the access logs of inmesh, Envoy and Istio), lines of Envoy's and Istio's access logs in text, or a HAR.
 * @throws MeshError `INMESH_OPTION_INVALID` that names the line.
 */
export function readRecorded(text: string, file: string): readonly RecordedRequest[] {
  const har = harEntries(text);
  const requests =
    har ??
    text
      .split('\n')
      .map((line, index) => ({ line: line.trim(), number: index + 1 }))
      .filter(({ line }) => line !== '')
      .flatMap(({ line, number }) => ofLine(line, `${file}:${number}`) ?? []);
  const found = new Map<string, RecordedRequest & { count: number }>();
  for (const one of requests) {
    const key = JSON.stringify(one);
    const known = found.get(key);
    if (known !== undefined) known.count++;
    else if (found.size < MAX_DISTINCT) found.set(key, { ...one, count: 1 });
  }
  return [...found.values()];
}

type Found = Omit<RecordedRequest, 'count'>;

/** A HAR is one document: `{ "log": { "entries": [{ "request": … }] } }`. */
function harEntries(text: string): readonly Found[] | undefined {
  if (!/^\s*\{\s*"log"\s*:/.test(text)) return undefined;
  try {
    const entries = at(at(JSON.parse(text), 'log'), 'entries');
    return (Array.isArray(entries) ? entries : []).flatMap(
      (entry) => ofFields(fields(at(entry, 'request'))) ?? [],
    );
  } catch {
    return undefined;
  }
}

function ofLine(line: string, where: string): Found | undefined {
  if (!line.startsWith('{')) return ofText(line, where);
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    throw invalid(where);
  }
  const found = ofFields(fields(parsed));
  if (found === undefined && !('method' in fields(parsed)) && !('protocol' in fields(parsed)))
    throw invalid(where);
  // A connection that is no request, or one of which nothing was read, is in access logs, too.
  return found;
}

function ofFields(one: Fields): Found | undefined {
  const { method, from, headers } = one;
  const url = urlOf(one);
  if (url === undefined) return undefined;
  const pairs = headerPairs(headers);
  return {
    method: known(method) ?? 'GET',
    url,
    ...(typeof from === 'string' && { from }),
    ...(pairs.length > 0 && { headers: pairs }),
  };
}

function urlOf(one: Fields): string | undefined {
  if (typeof one['url'] === 'string') return one['url'];
  const authority = known(one['authority']) ?? known(one[':authority']);
  const path = known(one['original_path']) ?? known(one['path']) ?? known(one[':path']);
  if (authority === undefined) return undefined;
  return `${known(one['scheme']) ?? 'http'}://${authority}${path ?? '/'}`;
}

/** `-` stands for nothing in access logs. */
function known(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '-' && value !== '' ? value : undefined;
}

/** Pairs, a map, or a HAR's `{ name, value }`. HTTP/2's own are no headers. */
function headerPairs(headers: unknown): readonly (readonly [string, string])[] {
  const pairs = Array.isArray(headers)
    ? headers.map((one) => (Array.isArray(one) ? one : [at(one, 'name'), at(one, 'value')]))
    : Object.entries(fields(headers));
  return pairs
    .map(([name, value]) => [String(name), String(value)] as const)
    .filter(([name]) => !name.startsWith(':'));
}

/**
 * Envoy: `[time] "METHOD path protocol" code … "authority" "upstream" …`; the last two in quotes are authority and
 * upstream host, in its format as in Istio's.
 */
function ofText(line: string, where: string): Found | undefined {
  const quoted = [...line.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, inside = '']) => inside);
  const [method, path, protocol] = (quoted[0] ?? '').split(' ');
  if (!line.startsWith('[') || quoted.length < 3) throw invalid(where);
  const authority = known(quoted.at(-2));
  if (protocol === undefined || method === '-' || authority === undefined) return undefined;
  return { method: method ?? 'GET', url: `http://${authority}${path ?? '/'}` };
}

function at(value: unknown, key: string): unknown {
  return fields(value)[key];
}

function fields(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

function invalid(where: string): MeshError {
  return new MeshError('INMESH_OPTION_INVALID', `${where} is no recorded request`, {
    hint: 'Give lines of JSON with method and url, or authority and path; an access log of Envoy; or a HAR',
  });
}
