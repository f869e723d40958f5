import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { MeshAdmin } from '../../../mesh/admin/mesh-admin.js';
import { ADMIN_HEADERS, adminRefusal, safeJson } from '../../../runtime/admin-request.js';
import type { Clock } from '../../../runtime/clock.js';
import { codeOf, messageOf } from '../../../runtime/errors.js';
import { isLoopbackName } from '../../../runtime/loopback.js';
import { bindServer } from '../bind.js';
import { Http2Front } from '../http2/http2-front.js';
import { METRICS_TYPE, type MetricsEndpoint, type MetricsSources } from '../metrics-server.js';
import { sniff } from '../sniff.js';
import { isGrpcCall, serveClientStatus } from './client-status-calls.js';

/** What an admin endpoint shows. */
export interface AdminSources extends MetricsSources {
  readonly admin: MeshAdmin;
}

const JSON_TYPE = 'application/json';
const TEXT_TYPE = 'text/plain; charset=utf-8';
const SNIFF_TIMEOUT_MS = 10_000;

/** What is answered. */
interface Page {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

/**
 * Serves what Envoy's admin interface shows of configuration, clusters and metrics, and gRPC's client status (CSDS) over
 * plaintext HTTP/2, on one port. It only reads, and does not keep the process alive.
 * @throws MeshError `INMESH_PORT_IN_USE` or `INMESH_LISTEN_FAILED`.
 */
export async function serveAdmin(
  target: { readonly host: string; readonly port: number },
  sources: AdminSources,
  clock: Clock,
): Promise<MetricsEndpoint> {
  // Only a loopback address promises that nobody else reads it: there other names are DNS rebinding.
  const onlyLoopback = isLoopbackName(target.host.includes(':') ? `[${target.host}]` : target.host);
  const pages = createHttpServer((request, response) => {
    const refused = adminRefusal(request, onlyLoopback ? [] : undefined);
    if (refused !== undefined && !isGrpcCall(request)) {
      answer(request, response, text(refused.status, `${refused.message}\n`));
    } else if (isGrpcCall(request)) {
      serveClientStatus(request, response, (message) => sources.admin.clientStatus(message));
    } else if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD');
      answer(request, response, text(405, 'this endpoint only reads\n'));
    } else answer(request, response, pageOf(new URL(request.url ?? '/', 'http://localhost'), sources));
  });
  const toPages = (socket: Duplex) => void pages.emit('connection', socket);
  const front = new Http2Front({ clock, accepted: toPages });
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    socket.unref();
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    sniff(
      socket,
      { timeoutMs: SNIFF_TIMEOUT_MS, clock },
      {
        plaintext: toPages,
        http2: (one) => front.accept(one, undefined),
        tls: (one) => one.destroy(),
        silent: (one) => one.destroy(),
      },
    );
  });
  const bound = await bindServer(server, target);
  server.unref();
  return {
    ...bound,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

const INDEX = ['/config_dump', '/clusters', '/runtime', '/stats/prometheus', '/metrics', '/ready'];

function pageOf(url: URL, sources: AdminSources): Page {
  const { searchParams: query } = url;
  switch (url.pathname) {
    case '/config_dump':
      return dumpPage(query, sources);
    case '/clusters': {
      const isJson = query.get('format') === 'json';
      const shown = sources.admin.clusters(isJson ? 'json' : 'text');
      return { status: 200, type: isJson ? JSON_TYPE : TEXT_TYPE, text: shown };
    }
    case '/runtime':
      return { status: 200, type: JSON_TYPE, text: `${sources.admin.runtime()}\n` };
    case '/metrics':
    case '/stats/prometheus':
      return { status: 200, type: METRICS_TYPE, text: sources.metrics() };
    case '/ready':
      // Envoy's words.
      return sources.isReady() ? text(200, 'LIVE\n') : text(503, 'INITIALIZING\n');
    case '/':
      return text(200, `${INDEX.join('\n')}\n`);
    default:
      return text(404, `there are ${INDEX.join(', ')}\n`);
  }
}

function dumpPage(query: URLSearchParams, { admin }: AdminSources): Page {
  if (query.has('mask')) return text(400, 'mask is not supported\n');
  try {
    const dump = admin.configDump({
      includeEds: query.has('include_eds'),
      resource: query.get('resource') ?? undefined,
      nameRegex: query.get('name_regex') ?? undefined,
    });
    return { status: 200, type: JSON_TYPE, text: `${safeJson(dump, 1)}\n` };
  } catch (error) {
    return text(codeOf(error) === 'INMESH_OPTION_INVALID' ? 404 : 400, `${messageOf(error)}\n`);
  }
}

function text(status: number, words: string): Page {
  return { status, type: TEXT_TYPE, text: words };
}

function answer(request: IncomingMessage, response: ServerResponse, page: Page): void {
  response.writeHead(page.status, {
    'content-type': page.type,
    'content-length': Buffer.byteLength(page.text),
    ...ADMIN_HEADERS,
  });
  response.end(request.method === 'HEAD' ? undefined : page.text);
}
