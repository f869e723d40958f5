import { type IncomingMessage, maxHeaderSize, type Server } from 'node:http';
import type { InboundLimits } from '../../model/inbound-limits.js';
import type { LocalReply } from '../../service/local-reply.js';
import { replaceHeaderLines } from './headers.js';

const TOO_LARGE = 'Request Header Fields Too Large';

/** What a head breaks, as Envoy's codecs answer it; undefined when it holds. Headers that are dropped are dropped here. */
export function checkHead(request: IncomingMessage, limits: InboundLimits): LocalReply | undefined {
  const { maxHeadersCount, maxRequestHeadersKb, underscores } = limits;
  const { rawHeaders: raw } = request;
  if (maxHeadersCount !== undefined && raw.length / 2 > maxHeadersCount)
    return refusal(431, TOO_LARGE, 'too_many_headers');
  if (maxRequestHeadersKb !== undefined && bytesOf(request) > maxRequestHeadersKb * 1024)
    return refusal(431, TOO_LARGE, 'headers_too_large');
  if (underscores === undefined || !raw.some(isUnderscored)) return undefined;
  if (underscores === 'reject') return refusal(400, 'Bad Request', 'unexpected_underscore');
  replaceHeaderLines(
    request,
    raw.filter((_, index) => !isUnderscored(raw[index - (index % 2)] ?? '', 0)),
  );
  return undefined;
}

/** Node reads how large heads may be when it gets a connection, which `announce` gives it. */
export function withHeadsUpTo(
  maxKb: number,
  server: Server & { maxHeaderSize?: number | undefined },
  announce: () => void,
): void {
  const before = server.maxHeaderSize;
  if (maxKb * 1024 > (before ?? maxHeaderSize)) server.maxHeaderSize = maxKb * 1024;
  try {
    announce();
  } finally {
    server.maxHeaderSize = before;
  }
}

/** Names and values take turns. */
function isUnderscored(text: string, index: number): boolean {
  return index % 2 === 0 && text.includes('_');
}

/** Envoy counts the target, names and values. */
function bytesOf({ url = '', rawHeaders }: IncomingMessage): number {
  let bytes = url.length;
  for (const piece of rawHeaders) bytes += piece.length;
  return bytes;
}

function refusal(status: number, body: string, what: string): LocalReply {
  return { status, body, details: `http1.${what}`, reason: 'INMESH_HEADER_INVALID', flag: 'DPE' };
}
