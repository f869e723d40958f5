import { isIP, isIPv4 } from 'node:net';

/** Tells whether a peer (`127.0.0.1:4711`, `[::1]:4711`, `::1:4711`, `unix:/path`) is a process of this machine. */
export function isLoopbackPeer(peer: string): boolean {
  if (peer.startsWith('unix:')) return true;
  const bracketed = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(peer)?.[1];
  if (bracketed !== undefined) return isLoopbackAddress(bracketed);
  const withoutPort = /^(.*):\d{1,5}$/.exec(peer)?.[1];
  // `::1` alone also looks like an address `:` with port 1, so the form without a port is tried when the other is none.
  const address = withoutPort !== undefined && isIP(withoutPort) !== 0 ? withoutPort : peer;
  return isLoopbackAddress(address);
}

function isLoopbackAddress(address: string): boolean {
  const bare = address.toLowerCase().replace(/^::ffff:/, '');
  return bare === '::1' || (isIPv4(bare) && bare.startsWith('127.'));
}
