/** The name of a service that a channel is made for, as the mesh looks names up. */
export interface MeshTarget {
  /** Host and, when given, port. */
  readonly authority: string;
  readonly hasPort: boolean;
}

/** Schemes whose targets are names of services: those of gRPC's DNS, of xDS, and ours. */
const NAMES: ReadonlySet<string> = new Set(['dns', 'xds', 'mesh']);

/** RFC 3986, as gRPC reads it: scheme, authority of the resolver, and path. */
const URI = /^(?:([A-Za-z][A-Za-z0-9+.-]*):)?(?:\/\/([^/]*)\/)?(.+)$/;

/** Reads a target; undefined when it names no service: an address, a Unix socket. */
export function parseTarget(target: string): MeshTarget | undefined {
  const [, scheme, , path = ''] = URI.exec(target) ?? [];
  // `greeter:50051` looks like a scheme with a path.
  const isName = scheme === undefined || NAMES.has(scheme.toLowerCase());
  if (!isName && !/^\d+$/.test(path)) return undefined;
  const authority = isName ? path : target;
  if (authority === '' || authority.includes('/')) return undefined;
  return { authority, hasPort: /:\d+$/.test(authority) && !authority.endsWith(']') };
}
