import type { TcpTunnel } from '../../model/tcp-proxy.js';

/** The proxy answered, but not with a tunnel. */
export function tunnelRefused({ method, target }: TcpTunnel, status: number): Error {
  const what = `the proxy answered ${status} to the ${method} for ${target}`;
  return Object.assign(new Error(what), { code: 'ERR_TUNNEL_REFUSED', status });
}
