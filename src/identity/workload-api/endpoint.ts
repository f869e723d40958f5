import { isIP } from 'node:net';
import { MeshError } from '../../runtime/errors.js';

/**
 * The gRPC target of a Workload API from the form of `SPIFFE_ENDPOINT_SOCKET` (SPIFFE Workload Endpoint §4):
 * `unix:///absolute/path` or `tcp://<IP address>:<port>`, and nothing else in either.
 * @throws MeshError `INMESH_OPTION_INVALID`.
 */
export function workloadTarget(endpoint: string): string {
  let url: URL;
  try {
    url = new URL(endpoint);
  } catch {
    throw refused(endpoint, 'is no URI');
  }
  if (
    url.search !== '' ||
    url.hash !== '' ||
    url.username !== '' ||
    url.password !== '' ||
    /[?#]/.test(endpoint)
  )
    throw refused(endpoint, 'has a user, a query or a fragment');
  if (url.protocol === 'unix:') return unixTarget(endpoint, url);
  if (url.protocol === 'tcp:') return tcpTarget(endpoint, url);
  throw refused(endpoint, 'is neither unix:// nor tcp://');
}

function unixTarget(endpoint: string, url: URL): string {
  // `unix:/path` is the same without an authority; a host would be part of a relative path by mistake.
  if (url.host !== '' || !/^unix:(\/\/)?\/[^/]/.test(endpoint))
    throw refused(endpoint, 'has no absolute path');
  try {
    return `unix:${decodeURIComponent(url.pathname)}`;
  } catch {
    throw refused(endpoint, 'has a path that is not percent-encoded as it must be');
  }
}

function tcpTarget(endpoint: string, url: URL): string {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const version = isIP(host);
  if (version === 0 || url.port === '') throw refused(endpoint, 'has no IP address and port');
  if (url.pathname !== '' || endpoint.endsWith('/')) throw refused(endpoint, 'has a path');
  return version === 4 ? `ipv4:${host}:${url.port}` : `ipv6:[${host}]:${url.port}`;
}

function refused(endpoint: string, why: string): MeshError {
  return new MeshError(
    'INMESH_OPTION_INVALID',
    `the Workload API endpoint ${JSON.stringify(endpoint)} ${why}`,
    {
      hint: 'Set SPIFFE_ENDPOINT_SOCKET to unix:///run/spire/agent.sock or tcp://127.0.0.1:8081, for example',
    },
  );
}
