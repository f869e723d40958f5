import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { TLSSocket } from 'node:tls';
import { messageOf } from '../../runtime/errors.js';
import { includesRole, type Operator } from '../access/roles.js';
import type { AuditRecord } from '../audit/audit-log.js';
import { isLoopbackPeer } from '../ca/peer-address.js';
import { listen } from '../serve/grpc-server.js';
import { PeerLimits } from '../serve/peer-limits.js';
import { type AdminRequest, type Answer, adminRequest, problem, refusal, write } from './http.js';
import type { AdminOptions } from './options.js';
import { matchRoute } from './route.js';
import { carryOut, ROUTES } from './routes.js';

/** The JSON status API. */
export interface AdminServer {
  /** `host:port`. */
  readonly address: string;
  close(): Promise<void>;
}

/** Requests of one address in a second, before anybody knows whose they are; processes of this machine are not counted. */
const RATE = { perSecond: 50, burst: 200, countsLoopback: false };
const MAX_CONNECTIONS = 1_000;

/** Serves the JSON status API: reading by GET, changes by POST and DELETE, each to those whose role allows it. */
export async function startAdminServer(options: AdminOptions): Promise<AdminServer> {
  const limits = new PeerLimits(RATE, options.clock);
  const handle = (request: IncomingMessage, response: ServerResponse) => {
    answer(request, { options, limits }).then(
      (result) => write(response, result, request.method === 'HEAD'),
      (error: unknown) => {
        options.logger.error({ path: request.url, error: messageOf(error) }, 'the status API failed');
        write(response, problem(500, 'INMESH_INTERNAL', 'the request failed; see the log'), false);
      },
    );
  };
  const { tls } = options;
  const server =
    tls === undefined
      ? createServer({ maxHeaderSize: 16 * 1024 }, handle)
      : createTlsServer(
          {
            ...tls.serverOptions({ alpn: ['http/1.1'], requireClientCertificate: false }),
            maxHeaderSize: 16 * 1024,
          },
          handle,
        );
  const detach = tls !== undefined && 'setSecureContext' in server ? tls.attach(server) : () => {};
  // Slow clients are cut: this port has nothing that takes long.
  server.requestTimeout = 10_000;
  server.headersTimeout = 5_000;
  server.maxHeadersCount = 100;
  server.maxConnections = MAX_CONNECTIONS;
  const address = await listen(server, options.host, options.port, 'status');
  return {
    address,
    close: () =>
      new Promise((resolve) => {
        detach();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

interface Handling {
  readonly options: AdminOptions;
  readonly limits: PeerLimits;
}

/** Probes have no token. */
const OPEN_PATHS: ReadonlySet<string> = new Set(['/healthz/live', '/healthz/ready', '/ready']);

async function answer(message: IncomingMessage, { options, limits }: Handling): Promise<Answer> {
  const peer = message.socket.remoteAddress ?? '';
  if (!limits.take(peer)) return problem(429, 'INMESH_ADMIN_RATE', 'too many requests');
  const refused = refusal(message, options.hosts);
  if (refused !== undefined) return refused;
  let request: AdminRequest;
  try {
    request = adminRequest(message);
  } catch {
    return problem(400, 'INMESH_ADMIN_REQUEST', 'the request target can not be read');
  }
  const { method, path } = request;
  const isRead = method === 'GET' || method === 'HEAD';
  if (isRead && OPEN_PATHS.has(path)) return { status: 200, text: 'ok\n' };
  const audited: AuditRecord = { action: `admin ${method}`, outcome: 'refused', peer, target: path };
  const operator = await identify(message, options).catch((error: unknown) => {
    options.logger.warn({ peer, error: messageOf(error) }, 'a token was refused');
    return undefined;
  });
  if (operator === undefined) {
    options.audit.note({ ...audited, reason: 'nobody vouches for the caller' });
    return {
      ...problem(401, 'INMESH_ADMIN_UNAUTHENTICATED', 'show a token or a certificate'),
      headers: { 'www-authenticate': 'Bearer' },
    };
  }
  return permitted(request, operator, { options, audited, again: () => identify(message, options) });
}

interface Permission {
  readonly options: AdminOptions;
  readonly audited: AuditRecord;
  /** Recognises the caller once more. */
  readonly again: () => Promise<Operator | undefined>;
}

/** What a role does not allow is refused before it is looked for: nobody learns what is there. */
async function permitted(
  request: AdminRequest,
  operator: Operator,
  { options, audited, again }: Permission,
): Promise<Answer> {
  const { method, path } = request;
  const wanted = method === 'HEAD' ? 'GET' : method;
  const route = ROUTES.find((one) => one.method === wanted && matchRoute(one, path) !== undefined);
  const needed = route?.role ?? (wanted === 'GET' ? 'viewer' : 'operator');
  const { actor, authenticator, role } = operator;
  const who = { ...audited, actor, authenticator, role };
  if (!includesRole(role, needed)) {
    options.audit.note({ ...who, reason: `the role ${needed} is needed` });
    return problem(403, 'INMESH_ADMIN_FORBIDDEN', 'your role does not allow that');
  }
  if (route === undefined) {
    const allow = ROUTES.filter((one) => matchRoute(one, path) !== undefined).map((one) => one.method);
    if (allow.length === 0) return problem(404, 'INMESH_NOT_FOUND', `there is nothing at ${path}`);
    return {
      ...problem(405, 'INMESH_ADMIN_METHOD', `${method} is not for ${path}`),
      headers: {
        allow: [...new Set(allow.flatMap((one) => (one === 'GET' ? ['GET', 'HEAD'] : [one])))].join(', '),
      },
    };
  }
  // On the disk before it happens.
  if (route.action !== undefined)
    await options.audit.record({ ...who, action: route.action, outcome: 'allowed' });
  const isStillAllowed = async () => {
    const now = await again();
    return now !== undefined && includesRole(now.role, needed);
  };
  return carryOut(route, { ...request, actor, isStillAllowed }, options);
}

function identify(message: IncomingMessage, { operators, tls }: AdminOptions): Promise<Operator | undefined> {
  const { socket, headers } = message;
  const hasCertificate =
    tls !== undefined && socket instanceof TLSSocket && socket.getPeerX509Certificate() !== undefined;
  return operators({
    isLocal: isLoopbackPeer(socket.remoteAddress ?? ''),
    authorization: headers.authorization,
    // Throws for one that does not hold: then nobody vouches for the caller.
    spiffeId: hasCertificate ? tls.verify(socket).id.toString() : undefined,
  });
}
