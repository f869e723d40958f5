import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { ADMIN_HEADERS, adminRefusal } from '../../runtime/admin-request.js';
import { isLoopbackName } from '../../runtime/loopback.js';
import { bindServer } from './bind.js';

/** Where a process shows its metrics. */
export interface MetricsEndpoint {
  readonly address: string;
  readonly port: number;
  close(): Promise<void>;
}

/** What it shows. */
export interface MetricsSources {
  /** In Prometheus' text format. */
  metrics(): string;
  /** Whether configuration is in force. */
  isReady(): boolean;
}

/** Prometheus' content type for its text format. */
export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/**
 * Serves metrics and readiness, nothing else: it only reads. It does not keep the process alive.
 * @throws MeshError `INMESH_PORT_IN_USE` or `INMESH_LISTEN_FAILED`.
 */
export async function serveMetrics(
  target: { readonly host: string; readonly port: number },
  sources: MetricsSources,
): Promise<MetricsEndpoint> {
  // Only a loopback address promises that nobody else reads it: there other names are DNS rebinding.
  const onlyLoopback = isLoopbackName(target.host.includes(':') ? `[${target.host}]` : target.host);
  const server = createServer((request, response) => {
    const refused = adminRefusal(request, onlyLoopback ? [] : undefined);
    if (refused !== undefined) answer(request, response, refused.status, `${refused.message}\n`);
    else if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD');
      answer(request, response, 405, 'this endpoint only reads\n');
    } else show(request, response, sources);
  });
  server.on('connection', (socket) => socket.unref());
  const bound = await bindServer(server, target);
  server.unref();
  return {
    ...bound,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function show(request: IncomingMessage, response: ServerResponse, sources: MetricsSources): void {
  const [path] = (request.url ?? '/').split('?', 1);
  switch (path) {
    case '/metrics':
    case '/stats/prometheus':
      answer(request, response, 200, sources.metrics(), METRICS_TYPE);
      return;
    case '/ready':
      // Envoy's words.
      if (sources.isReady()) answer(request, response, 200, 'LIVE\n');
      else answer(request, response, 503, 'INITIALIZING\n');
      return;
    default:
      answer(request, response, 404, 'there are /stats/prometheus, /metrics and /ready\n');
  }
}

function answer(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  text: string,
  type = 'text/plain; charset=utf-8',
): void {
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(text),
    ...ADMIN_HEADERS,
  });
  response.end(request.method === 'HEAD' ? undefined : text);
}
