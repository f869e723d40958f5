import type { IncomingMessage, ServerResponse } from 'node:http';
import { ADMIN_HEADERS, adminRefusal, safeJson } from '../../runtime/admin-request.js';

/** An answer of the admin API. */
export interface Answer {
  readonly status: number;
  /** Sent as JSON, unless `text` is given. */
  readonly body?: unknown;
  readonly text?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A request that passed the checks that hold for all. */
export interface AdminRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  /** Reads the JSON body; undefined when there is none that can be read. */
  readonly json: () => Promise<unknown>;
}

const MAX_BODY_BYTES = 64 * 1024;

/** Why a request is turned away before anything looks at it; undefined when it may pass. */
export function refusal(request: IncomingMessage, hosts: readonly string[]): Answer | undefined {
  const refused = adminRefusal(request, hosts);
  if (refused !== undefined) return problem(refused.status, refused.code, refused.message);
  const isMutation = request.method === 'POST' || request.method === 'DELETE';
  const type = request.headers['content-type'] ?? '';
  // A form of another site can't send this content type without asking first.
  if (isMutation && !/^application\/json(;|$)/i.test(type)) {
    return problem(415, 'INMESH_ADMIN_CONTENT_TYPE', 'changes need content-type: application/json');
  }
  return undefined;
}

/** Reads what of a request the handlers need. */
export function adminRequest(request: IncomingMessage): AdminRequest {
  const url = new URL(request.url ?? '/', 'http://localhost');
  return {
    method: request.method ?? 'GET',
    path: url.pathname,
    query: url.searchParams,
    json: () => readJson(request),
  };
}

/** An error in the form that all of them have. */
export function problem(status: number, code: string, message: string): Answer {
  return { status, body: { error: { code, message } } };
}

/** Writes an answer; nothing of it may be cached, framed or sniffed. */
export function write(response: ServerResponse, answer: Answer, isHead: boolean): void {
  const text = answer.text ?? `${safeJson(answer.body, 2)}\n`;
  response.writeHead(answer.status, {
    'content-type': answer.text === undefined ? 'application/json' : 'text/plain; charset=utf-8',
    'content-length': Buffer.byteLength(text),
    ...ADMIN_HEADERS,
    // Who was refused pays for a connection before the next refusal: many requests in one packet have one answer.
    ...(answer.status >= 400 && { connection: 'close' }),
    ...answer.headers,
  });
  response.end(isHead ? undefined : text);
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request) {
    // Node's requests give Buffers.
    const bytes = chunk as Buffer;
    length += bytes.length;
    if (length > MAX_BODY_BYTES) return undefined;
    chunks.push(bytes);
  }
  try {
    const parsed: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    return parsed;
  } catch {
    return undefined;
  }
}
