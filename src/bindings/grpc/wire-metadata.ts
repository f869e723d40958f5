import type { Metadata } from '@grpc/grpc-js';
import type { HeaderMap } from '../../service/headers.js';

/** The class of the metadata that a call was given: its library may be another copy than ours. */
export type MetadataClass = new () => Metadata;

/** Names that are the transport's; what an application puts there goes no further, as in grpc-js. */
export const OF_THE_TRANSPORT: ReadonlySet<string> = new Set(['content-type', 'te', 'user-agent']);

/** Those, and the names that say how messages are written. */
export const OF_THE_CALL: ReadonlySet<string> = new Set([
  ...OF_THE_TRANSPORT,
  'accept-encoding',
  'grpc-accept-encoding',
  'grpc-encoding',
]);

/** Adds what an application sends along, but for the `reserved` names, as header lines: name, value, name, value. */
export function appendMetadata(metadata: Metadata, lines: string[], reserved: ReadonlySet<string>): void {
  const headers = metadata.toHttp2Headers();
  for (const name in headers) {
    if (reserved.has(name)) continue;
    const value = headers[name];
    if (Array.isArray(value)) for (const one of value) lines.push(name, one);
    else if (value !== undefined) lines.push(name, String(value));
  }
}

/** What a server sent along, without the names in `hidden`. */
export function metadataOf(
  headers: HeaderMap | undefined,
  hidden: ReadonlySet<string>,
  Class: MetadataClass,
): Metadata {
  const metadata = new Class();
  const lines = headers?.toRaw() ?? [];
  let seen: Map<string, string> | undefined;
  for (let i = 0; i < lines.length; i += 2) {
    const name = String(lines[i]);
    const value = String(lines[i + 1] ?? '');
    if (hidden.has(name)) continue;
    if (name.endsWith('-bin')) addBinary(metadata, name, value);
    else if (metadata.get(name).length === 0 || name === 'set-cookie') add(metadata, name, value);
    else {
      // Node joins the lines of one name, and so do clients of grpc-js see them.
      seen ??= new Map();
      const joined = `${seen.get(name) ?? String(metadata.get(name)[0])}, ${value}`;
      seen.set(name, joined);
      metadata.remove(name);
      add(metadata, name, joined);
    }
  }
  return metadata;
}

/** gRPC over HTTP/2: several values may come in one line, with or without padding. */
function addBinary(metadata: Metadata, name: string, value: string): void {
  // grpc-js: names of gRPC's own have one value.
  if (name.startsWith('grpc-') || !value.includes(',')) metadata.add(name, Buffer.from(value, 'base64'));
  else for (const one of value.split(',')) metadata.add(name, Buffer.from(one.trim(), 'base64'));
}

/** What grpc-js would not let an application send is not shown to one either. */
function add(metadata: Metadata, name: string, value: string): void {
  try {
    metadata.add(name, value);
  } catch {
    // Left out, as by grpc-js.
  }
}
