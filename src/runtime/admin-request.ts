import { isLoopbackName } from './loopback.js';

/** The head of a request to a port for operators. */
export interface AdminHead {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** Names and values in turn, as they were sent. */
  readonly rawHeaders: readonly string[];
}

/** Why a request is turned away before anything looks at it. */
export interface AdminRefusal {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

/** Headers of every answer of a port for operators: nothing of it is kept, framed, sniffed, or shown to other sites. */
export const ADMIN_HEADERS: Readonly<Record<string, string>> = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'content-security-policy':
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
};

/** Paths by which Envoy's admin interface changes something: never by GET, wherever there is something like it. */
const ENVOY_MUTATIONS: ReadonlySet<string> = new Set([
  '/quitquitquit',
  '/healthcheck/fail',
  '/healthcheck/ok',
  '/drain_listeners',
  '/reset_counters',
  '/logging',
  '/runtime_modify',
  '/reopen_logs',
  '/cpuprofiler',
  '/heapprofiler',
  '/allocprofiler',
]);

/**
 * The checks that hold for every request to a port for operators: its name (DNS rebinding), its origin (other web sites),
 * one meaning of its head, and no change by GET. `hosts` are names besides those of loopback; undefined = any name.
 */
export function adminRefusal(
  { method = 'GET', url = '/', headers, rawHeaders }: AdminHead,
  hosts: readonly string[] | undefined,
): AdminRefusal | undefined {
  const host = onlyOne(headers, rawHeaders, 'host');
  if (!url.startsWith('/') && url !== '*') {
    return problem(400, 'INMESH_ADMIN_REQUEST', 'the request target has to begin with a slash');
  }
  if (host === undefined || !isKnown(host, hosts)) {
    return problem(403, 'INMESH_ADMIN_HOST', 'this port does not answer to that name');
  }
  const site = headers['sec-fetch-site'];
  const origin = headers['origin'];
  if (
    (site !== undefined && site !== 'same-origin' && site !== 'none') ||
    (origin !== undefined && origin !== `http://${host}` && origin !== `https://${host}`)
  ) {
    return problem(403, 'INMESH_ADMIN_ORIGIN', 'requests of other sites are refused');
  }
  const [path = ''] = url.split('?', 1);
  if (ENVOY_MUTATIONS.has(path) && (method === 'GET' || method === 'HEAD')) {
    return problem(405, 'INMESH_ADMIN_METHOD', `${path} is not for ${method}`);
  }
  return undefined;
}

/** JSON that stays data wherever it is pasted, also inside a script of a page. */
export function safeJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, undefined, indent).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function isKnown(host: string, hosts: readonly string[] | undefined): boolean {
  if (hosts === undefined) return /^[A-Za-z0-9.:[\]_-]+$/.test(host);
  const name = host.replace(/:\d{1,5}$/, '').toLowerCase();
  return isLoopbackName(host) || hosts.some((one) => one.toLowerCase() === name);
}

/** A header that came twice has two meanings. */
function onlyOne(
  headers: AdminHead['headers'],
  rawHeaders: readonly string[],
  name: string,
): string | undefined {
  const count = rawHeaders.filter((one, index) => index % 2 === 0 && one.toLowerCase() === name).length;
  const value = headers[name];
  return count === 1 && typeof value === 'string' ? value : undefined;
}

function problem(status: number, code: string, message: string): AdminRefusal {
  return { status, code, message };
}
