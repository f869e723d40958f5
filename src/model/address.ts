/** Where to connect to. */
export interface SocketAddress {
  /** An IP address, a host name, or a Unix socket: its path, or `@` with its name on Linux. */
  readonly address: string;
  /** 0 for a Unix socket. */
  readonly port: number;
}

/** Whether it is a Unix socket. */
export function isUnixSocket({ address }: SocketAddress): boolean {
  return address.startsWith('/') || address.startsWith('@');
}

/** `address:port`, with brackets around IPv6; a Unix socket by its path. */
export function formatAddress(socket: SocketAddress): string {
  const { address, port } = socket;
  if (isUnixSocket(socket)) return address;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Splits `host:port`, `[v6]:port` or a bare host; the port is undefined when there is none or it is no number. */
export function splitHostPort(authority: string): {
  readonly host: string;
  readonly port: number | undefined;
} {
  const bracket = authority.startsWith('[') ? authority.indexOf(']') : -1;
  if (bracket > 0) {
    const rest = authority.slice(bracket + 1);
    return {
      host: authority.slice(1, bracket),
      port: rest.startsWith(':') ? toPort(rest.slice(1)) : undefined,
    };
  }
  const colon = authority.indexOf(':');
  if (colon < 0 || authority.indexOf(':', colon + 1) >= 0) return { host: authority, port: undefined };
  return { host: authority.slice(0, colon), port: toPort(authority.slice(colon + 1)) };
}

function toPort(text: string): number | undefined {
  if (!/^\d{1,5}$/.test(text)) return undefined;
  const port = Number(text);
  return port <= 65_535 ? port : undefined;
}
