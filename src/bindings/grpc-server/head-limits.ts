import type { IncomingHttpHeaders } from 'node:http2';
import type { InboundLimits } from '../../model/inbound-limits.js';

/** Whether a head holds to the limits of its listener. Headers that are to be dropped are dropped here, in both forms. */
export function keepsLimits(headers: IncomingHttpHeaders, raw: string[], limits: InboundLimits): boolean {
  const { maxHeadersCount, maxRequestHeadersKb, underscores } = limits;
  if (maxHeadersCount !== undefined && raw.length / 2 > maxHeadersCount) return false;
  if (maxRequestHeadersKb !== undefined && bytesOf(raw) > maxRequestHeadersKb * 1024) return false;
  if (underscores === undefined) return true;
  for (let i = raw.length - 2; i >= 0; i -= 2) {
    const name = raw[i] ?? '';
    if (!name.includes('_')) continue;
    if (underscores === 'reject') return false;
    raw.splice(i, 2);
    delete headers[name];
  }
  return true;
}

function bytesOf(raw: readonly string[]): number {
  let bytes = 0;
  for (const piece of raw) bytes += piece.length;
  return bytes;
}
