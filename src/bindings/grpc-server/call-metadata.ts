import { Metadata, type ServerInterceptingCallInterface } from '@grpc/grpc-js';
import type { HeaderMap } from '../../service/headers.js';
import type { Response } from '../../service/service.js';
import { linesOfSent, sentOfLines } from './answer.js';

/** What HTTP/2 has and metadata has not. */
const NOT_METADATA: ReadonlySet<string> = new Set([
  'content-type',
  'te',
  'grpc-timeout',
  'grpc-encoding',
  'grpc-accept-encoding',
  'accept-encoding',
]);

/** Metadata as header lines. */
export function headersOf(metadata: Metadata): HeaderMap {
  return linesOfSent(metadata.toHttp2Headers());
}

/** Header lines as metadata, for a handler. */
export function metadataOf(headers: HeaderMap): Metadata {
  const { ':status': _status, ...sent } = sentOfLines(0, headers);
  for (const name of NOT_METADATA) delete sent[name];
  // What goes out and what comes in differ in their types, and not in what is in them here.
  return Metadata.fromHttp2Headers(sent as Parameters<typeof Metadata.fromHttp2Headers>[0]);
}

/** A status of gRPC, as grpc-js takes it. */
export type PartialStatus = Parameters<ServerInterceptingCallInterface['sendStatus']>[0];

const UNKNOWN = 2;

/** An answer that a filter gives itself, as a status of gRPC. */
export function statusOfReply({ headers }: Response): PartialStatus {
  const rest = headers.clone();
  const code = Number(rest.take('grpc-status') ?? UNKNOWN);
  const details = decode(rest.take('grpc-message') ?? '');
  return { code, details, metadata: metadataOf(rest) };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
