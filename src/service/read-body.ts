import { MeshError } from '../runtime/errors.js';
import { type Body, bytesBody, iterateBody } from './body.js';
import type { HeaderMap } from './headers.js';

/** A request, or the response of an outbound request: what has headers and a body that can be replaced. */
export interface Message {
  readonly headers: HeaderMap;
  body: Body;
}

/**
 * Reads the whole body into memory and leaves it in the message, so that it is still sent (and may be sent again by
 * retries).
 * @throws MeshError `INMESH_BODY_TOO_LARGE` when there is more than `maxBytes`; the message has no body then.
 */
export async function readBytes(message: Message, maxBytes: number): Promise<Uint8Array> {
  const { body } = message;
  if (body.kind === 'empty') return new Uint8Array();
  if (body.kind === 'bytes') {
    const bytes = typeof body.bytes === 'string' ? Buffer.from(body.bytes) : body.bytes;
    return bytes.byteLength > maxBytes ? tooLarge(maxBytes) : bytes;
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  const source = iterateBody(body);
  for (let next = await source.next(); next.done !== true; next = await source.next()) {
    size += next.value.byteLength;
    if (size > maxBytes) {
      // Not waited for: there are sources (fetch of Node 20) that never say that they have stopped.
      source.return(undefined).catch(() => {});
      tooLarge(maxBytes);
    }
    chunks.push(next.value);
  }
  const [only = new Uint8Array(), ...more] = chunks;
  const bytes = more.length === 0 ? only : Buffer.concat(chunks, size);
  message.body = bytesBody(bytes);
  return bytes;
}

/** As {@link readBytes}, as UTF-8 text. */
export async function readText(message: Message, maxBytes: number): Promise<string> {
  return Buffer.from(await readBytes(message, maxBytes)).toString();
}

/**
 * As {@link readText}, parsed as JSON.
 * @throws SyntaxError when it is none.
 */
export async function readJson(message: Message, maxBytes: number): Promise<unknown> {
  return JSON.parse(await readText(message, maxBytes));
}

/** Replaces the body, and the headers that tell its length. */
export function setBody(message: Message, body: string | Uint8Array): void {
  message.body = bytesBody(body);
  message.headers.delete('transfer-encoding');
  message.headers.set('content-length', String(Buffer.byteLength(body)));
}

function tooLarge(maxBytes: number): never {
  throw new MeshError('INMESH_BODY_TOO_LARGE', `the body has more than ${maxBytes} bytes`);
}
