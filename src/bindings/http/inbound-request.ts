import type { IncomingMessage } from 'node:http';
import { Abort } from '../../runtime/abort.js';
import type { Clock } from '../../runtime/clock.js';
import type { Random } from '../../runtime/random.js';
import type { NativeBody } from '../../service/body.js';
import { createExchange } from '../../service/context.js';
import { deadlineOf } from '../../service/deadline.js';
import { HeaderMap } from '../../service/headers.js';
import type { Request } from '../../service/service.js';
import type { WorkloadInfo } from '../../service/workload.js';
import { connectionInfo } from './connection-info.js';
import { replaceHeaderLines } from './headers.js';
import { StreamSocket } from './http2/stream-socket.js';
import { declaredLength, type GatedBody } from './request-gate.js';

interface RequestTools {
  readonly clock: Clock;
  readonly random: Random;
}

/** One request as Node's server announced it, and the way to the application's listeners of that event. */
export interface Arrival {
  readonly request: IncomingMessage;
  readonly secure: boolean;
  readonly peerId: string | undefined;
  /** Who calls, by its own word. */
  readonly peer: WorkloadInfo | undefined;
  /** Protocol that the request switches to, in lower case; `connect` for CONNECT. */
  readonly upgrade?: string | undefined;
  /** Asks a caller that waits with its body (`Expect: 100-continue`) to send it, where the application decides that. */
  readonly askForBody?: (() => void) | undefined;
  /** Calls the application. */
  readonly dispatch: () => void;
}

/** The request of the data path for one that Node's server announced. */
export function inboundRequest(arrival: Arrival, tools: RequestTools, gate: GatedBody | undefined): Request {
  const { request, peerId, peer, secure } = arrival;
  const context = createExchange('inbound', tools.clock.now(), tools.random());
  context.peerId = peerId;
  context.protocol = request.socket instanceof StreamSocket ? 'HTTP/2' : `HTTP/${request.httpVersion}`;
  context.connection = connectionInfo(request.socket);
  context.peer = peer;
  context.upgrade = arrival.upgrade;
  // A tunnel is logged when its socket is closed, and a closed socket has forgotten who was there: it is asked now.
  if (arrival.upgrade !== undefined)
    void [context.connection.directRemote, context.connection.local, context.connection.tls];
  const { authority, path } = readTarget(request);
  const headers = HeaderMap.fromRaw(request.rawHeaders);
  context.deadlineMs = deadlineOf(headers, context.startMs);
  return {
    method: request.method ?? 'GET',
    scheme: secure ? 'https' : 'http',
    authority,
    path,
    headers,
    body: gate ?? new MessageBody(request),
    abort: new Abort(),
    context,
  };
}

const ABSOLUTE_FORM = /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#@]*@)?([^/?#]*)(.*)$/i;

/**
 * What a request asks for. In absolute form (`GET http://host/path`) the target names the authority and Host does not
 * count (RFC 9112 §3.2.2); applications route by the path within, so filters must see that too.
 */
function readTarget({ url = '/', method, headers }: IncomingMessage): { authority: string; path: string } {
  if (method === 'CONNECT') return { authority: url, path: '' };
  const absolute = url.startsWith('/') ? null : ABSOLUTE_FORM.exec(url);
  if (absolute === null) return { authority: headers.host ?? '', path: url };
  const [, authority = '', rest = ''] = absolute;
  return { authority, path: rest.startsWith('/') ? rest : `/${rest}` };
}

/** Hands on what filters changed. */
export function applyChanges(message: IncomingMessage, request: Request): void {
  if (request.method !== message.method) message.method = request.method;
  if (request.path !== readTarget(message).path) message.url = request.path;
  const { headers } = request;
  if (message.method !== 'CONNECT' && request.authority !== (message.headers.host ?? '')) {
    headers.set('host', request.authority);
  }
  if (headers.toRaw() !== message.rawHeaders) replaceHeaderLines(message, headers.toLines());
}

/** The request's own stream: the application reads it as ever, no copy is made. */
class MessageBody implements NativeBody {
  readonly kind = 'native';
  readonly value: IncomingMessage;

  constructor(message: IncomingMessage) {
    this.value = message;
  }

  get length(): number | undefined {
    return declaredLength(this.value);
  }

  iterate(): AsyncIterable<Uint8Array> {
    return this.value;
  }
}
