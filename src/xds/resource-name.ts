/** The parts of an xdstp name (xRFC TP1), decoded. */
export interface ResourceName {
  readonly authority: string;
  /** Full name of the message, e.g. `envoy.config.listener.v3.Listener`. */
  readonly type: string;
  readonly id: string;
  /** Context parameters. */
  readonly context: ReadonlyMap<string, string>;
}

const SCHEME = 'xdstp:';

/** Whether a name says whose it is (gRFC A47). */
export function isXdstp(name: string): boolean {
  return name.startsWith(SCHEME);
}

/** What names of the old style belong to; no authority can be called so (gRFC A47 tells it from the empty one). */
export const OLD_STYLE = '#old';

/** The authority that a name belongs to. Undefined: it is malformed. */
export function authorityOf(name: string): string | undefined {
  return isXdstp(name) ? parseResourceName(name)?.authority : OLD_STYLE;
}

/**
 * The one spelling of a name: context parameters sorted by key, and nothing encoded that need not be (gRFC A47). Names of
 * the old style, and malformed ones, are as they are.
 */
export function canonicalName(name: string): string {
  if (!isXdstp(name)) return name;
  const parsed = parseResourceName(name);
  return parsed === undefined ? name : formatResourceName(parsed);
}

/** Reads `xdstp://authority/type/id?key=value`; undefined when it is none. */
export function parseResourceName(name: string): ResourceName | undefined {
  const match = /^xdstp:\/\/([^/?#]*)\/([^/?#]+)\/([^?#]*)(?:\?([^#]*))?(?:#.*)?$/s.exec(name);
  if (match === null) return undefined;
  const [, authority = '', type = '', id = '', query = ''] = match;
  const context = new Map<string, string>();
  try {
    for (const pair of query.split('&')) {
      if (pair === '') continue;
      const equals = pair.indexOf('=');
      // gRPC: a parameter without value is malformed.
      if (equals < 0) return undefined;
      context.set(decodeURIComponent(pair.slice(0, equals)), decodeURIComponent(pair.slice(equals + 1)));
    }
    return {
      authority: decodeURIComponent(authority),
      type: decodeURIComponent(type),
      id: decodeURIComponent(id),
      context,
    };
  } catch {
    // A "%" that starts no encoded byte.
    return undefined;
  }
}

/** Writes a name in its canonical form. */
export function formatResourceName({ authority, type, id, context }: ResourceName): string {
  const query = [...context]
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([key, value]) => `${encodeQuery(key)}=${encodeQuery(value)}`)
    .join('&');
  return `xdstp://${encode(authority, AUTHORITY)}/${encode(type, PATH)}/${encode(id, PATH)}${query === '' ? '' : `?${query}`}`;
}

/** Encodes for the path of a name, slashes kept (RFC 3986 `pchar` and `/`), as templates need it. */
export function encodePath(text: string): string {
  return encode(text, PATH);
}

/** Whether a name stands for all names that differ from it in the last part only (xRFC TP1, glob collections). */
export function isCollection(name: string): boolean {
  return isXdstp(name) && /\/\*(?:\?|$)/.test(name);
}

/** The collection that a name belongs to; undefined for names of the old style. */
export function collectionOf(name: string): string | undefined {
  if (!isXdstp(name)) return undefined;
  const query = name.indexOf('?');
  const end = query < 0 ? name.length : query;
  return `${name.slice(0, name.lastIndexOf('/', end - 1))}/*${name.slice(end)}`;
}

/** What stands before the last slash of a name; all of it without one. */
export function namespaceOf(name: string): string {
  const slash = name.lastIndexOf('/');
  return slash < 0 ? name : name.slice(0, slash);
}

// RFC 3986: what need not be encoded in each part, beyond what encodeURIComponent leaves alone.
const AUTHORITY = /%(?:24|26|2B|2C|3B|3D|3A|40|5B|5D)/g;
const PATH = /%(?:24|26|2B|2C|3B|3D|3A|40|2F)/g;
const QUERY = /%(?:24|2B|2C|3B|3A|40|2F|3F)/g;

function encodeQuery(text: string): string {
  return encode(text, QUERY);
}

function encode(text: string, kept: RegExp): string {
  // Through UTF-8, as encodeURIComponent throws at a lone surrogate.
  return encodeURIComponent(Buffer.from(text).toString()).replace(kept, (one) => decodeURIComponent(one));
}

/** Names in their canonical spelling; the same set where none has another. */
export function canonicalNames(names: ReadonlySet<string>): ReadonlySet<string> {
  for (const name of names) if (isXdstp(name)) return new Set([...names].map(canonicalName));
  return names;
}
