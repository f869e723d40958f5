import { type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { codeOf } from '../../runtime/errors.js';
import { iterateBody, readBody } from '../../service/body.js';
import { type LocalReply, localReply } from '../../service/local-reply.js';
import type { Request, Response } from '../../service/service.js';

/** What the caller gets when a filter threw: no detail of ours, only the stable code. */
export function failureReply(request: Request, error: unknown): Response {
  const code = codeOf(error);
  return localReply(request, {
    status: 500,
    body: '',
    details: 'filter_failed',
    reason: code?.startsWith('INMESH_') === true ? code : 'INMESH_FILTER_FAILED',
  });
}

/** Writes a filter's answer to Node's response. */
export async function writeReply(target: ServerResponse, response: Response): Promise<void> {
  target.statusCode = response.status;
  if (response.statusText !== '') target.statusMessage = response.statusText;
  for (const [name, value] of response.headers) target.appendHeader(name, value);
  const { body } = response;
  if (body.kind === 'bytes') {
    target.end(body.bytes);
    return;
  }
  for await (const chunk of iterateBody(body)) {
    if (target.destroyed) return;
    if (!target.write(chunk)) await writable(target);
  }
  target.end();
}

/** Writes a filter's answer to a socket that has left Node's HTTP (an upgrade or CONNECT), and closes it. */
export async function rawReply(socket: Duplex, response: Response): Promise<void> {
  const body = await readBody(response.body);
  const reason = response.statusText === '' ? (STATUS_CODES[response.status] ?? '') : response.statusText;
  const lines = [`HTTP/1.1 ${response.status} ${reason}`];
  for (const [name, value] of response.headers) {
    if (name !== 'content-length' && name !== 'connection') lines.push(`${name}: ${value}`);
  }
  lines.push(`content-length: ${body.length}`, 'connection: close', '', '');
  socket.write(lines.join('\r\n'), 'latin1');
  socket.end(body);
}

/**
 * Answers on the bare socket of a request that took too long, as Node does it, and says that the connection ends. What the
 * application writes from then on goes nowhere.
 */
export function cutShort(socket: Duplex, { status, body, reason }: LocalReply): void {
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    `content-length: ${Buffer.byteLength(body)}`,
    'content-type: text/plain',
    `x-inmesh-reason: ${reason}`,
    'connection: close',
    '',
    body,
  ];
  socket.write(lines.join('\r\n'), 'latin1');
}

function writable(target: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      target.removeListener('drain', done);
      target.removeListener('close', done);
      resolve();
    };
    target.on('drain', done);
    target.on('close', done);
  });
}
