import type { IncomingMessage, ServerResponse } from 'node:http';
import { messageOf } from '../../../runtime/errors.js';
import { GrpcFrames, grpcFrame } from '../../../service/grpc-frames.js';
import { isGrpcType } from '../../../service/local-reply.js';
import { endCall } from '../grpc-outcome.js';

const SERVICE = '/envoy.service.status.v3.ClientStatusDiscoveryService/';
const METHODS: ReadonlySet<string> = new Set([`${SERVICE}StreamClientStatus`, `${SERVICE}FetchClientStatus`]);
/** A request names nodes at most. */
const MAX_REQUEST_BYTES = 64 * 1024;

const STATUS = { OK: 0, INVALID_ARGUMENT: 3, UNIMPLEMENTED: 12 } as const;

/** Whether a request is a call of gRPC. */
export function isGrpcCall({ method, headers }: IncomingMessage): boolean {
  return method === 'POST' && isGrpcType(headers['content-type']);
}

/**
 * Answers a call of gRPC's ClientStatusDiscoveryService: each message of the request with one (gRFC A40). Calls of anything
 * else are not implemented. `answer` throws for requests that it does not serve.
 */
export function serveClientStatus(
  request: IncomingMessage,
  response: ServerResponse,
  answer: (message: Uint8Array) => Uint8Array,
): void {
  if (!METHODS.has(request.url ?? '')) {
    request.resume();
    request.on('end', () =>
      endCall(response, STATUS.UNIMPLEMENTED, 'there is ClientStatusDiscoveryService only'),
    );
    return;
  }
  const frames = new GrpcFrames(MAX_REQUEST_BYTES);
  request.on('data', (chunk: Buffer) => {
    if (response.writableEnded) return;
    try {
      for (const message of frames.feed(chunk)) {
        const answered = grpcFrame(answer(message));
        if (!response.headersSent) response.writeHead(200, { 'content-type': 'application/grpc' });
        response.write(answered);
      }
    } catch (error) {
      endCall(response, STATUS.INVALID_ARGUMENT, messageOf(error));
    }
  });
  request.on('end', () => endCall(response, STATUS.OK, ''));
}
