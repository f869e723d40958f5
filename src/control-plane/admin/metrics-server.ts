import { createServer } from 'node:http';
import { adminRefusal } from '../../runtime/admin-request.js';
import { isLoopbackPeer } from '../ca/peer-address.js';
import { listen } from '../serve/grpc-server.js';
import type { AdminServer } from './admin-server.js';
import { problem, write } from './http.js';

/** Serves metrics and health, and nothing else: for scrapers on other machines, which need no role for that. */
export async function startMetricsServer(
  host: string,
  port: number,
  metrics: () => string,
): Promise<AdminServer> {
  const hosts = isLoopbackPeer(host) ? [] : undefined;
  const server = createServer({ maxHeaderSize: 16 * 1024 }, (request, response) => {
    const refused = adminRefusal(request, hosts);
    const isHead = request.method === 'HEAD';
    const [path] = (request.url ?? '/').split('?', 1);
    if (refused !== undefined)
      write(response, problem(refused.status, refused.code, refused.message), isHead);
    else if (request.method !== 'GET' && !isHead) {
      const answer = problem(405, 'INMESH_ADMIN_METHOD', 'this port only reads');
      write(response, { ...answer, headers: { allow: 'GET, HEAD' } }, isHead);
    } else if (path === '/metrics') write(response, { status: 200, text: metrics() }, isHead);
    else if (path === '/ready' || path === '/healthz/live' || path === '/healthz/ready')
      write(response, { status: 200, text: 'ok\n' }, isHead);
    else write(response, problem(404, 'INMESH_NOT_FOUND', 'there are /metrics and /ready'), isHead);
  });
  server.requestTimeout = 10_000;
  server.headersTimeout = 5_000;
  server.maxConnections = 1_000;
  const address = await listen(server, host, port, 'metrics');
  return {
    address,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
