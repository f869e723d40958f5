import type { IncomingMessage, ServerResponse } from 'node:http';
import { ADMIN_HEADERS, adminRefusal, safeJson } from '../../runtime/admin-request.js';
import type { MeshError } from '../../runtime/errors.js';

/** An answer of the admin API. */
export interface Answer {
  readonly status: number;
  /** Sent as JSON, unless `text` is given. */
  readonly body?: unknown;
  readonly text?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Writes all of the response itself, in its own time. */
  readonly stream?: (response: ServerResponse) => void;
}

/** A request that passed the checks that hold for all. */
export interface AdminRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  /** Reads the JSON body, of 64 KiB at most by default; undefined when there is none that can be read. */
  readonly json: (maxBytes?: number) => Promise<unknown>;
  /** The version in `If-Match`; undefined = any. */
  readonly ifMatch: string | undefined;
  readonly lastEventId: string | undefined;
  /** Who asks, as the audit log names them. */
  readonly actor: string;
  /** Whether the caller would be let in still: for answers that take long. */
  readonly isStillAllowed: () => Promise<boolean>;
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
    json: (maxBytes = MAX_BODY_BYTES) => readJson(request, maxBytes),
    ifMatch: versionIn(request.headers['if-match']),
    lastEventId: oneOf(request.headers['last-event-id']),
    actor: '',
    isStillAllowed: () => Promise.resolve(false),
  };
}

/** An error in the form that all of them have. */
export function problem(status: number, code: string, message: string): Answer {
  return { status, body: { error: { code, message } } };
}

/** A `MeshError` in that form: the code that its message begins with stands by itself. */
export function problemOf(status: number, { code, message }: MeshError): Answer {
  const prefix = `${code}: `;
  return problem(status, code, message.startsWith(prefix) ? message.slice(prefix.length) : message);
}

/** Writes an answer; nothing of it may be cached, framed or sniffed. */
export function write(response: ServerResponse, answer: Answer, isHead: boolean): void {
  if (answer.stream !== undefined && !isHead) {
    answer.stream(response);
    return;
  }
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

/** RFC 9110: an entity tag is in quotes; `*` asks for nothing that a change does not ask for anyway. */
function versionIn(text: string | undefined): string | undefined {
  const version = text?.trim().replace(/^(?:W\/)?"(.*)"$/, '$1');
  return version === '*' ? undefined : version;
}

function oneOf(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

async function readJson(request: IncomingMessage, maxBytes: number): Promise<unknown> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request) {
    // Node's requests give Buffers.
    const bytes = chunk as Buffer;
    length += bytes.length;
    if (length > maxBytes) return undefined;
    chunks.push(bytes);
  }
  try {
    const parsed: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    return parsed;
  } catch {
    return undefined;
  }
}
