import type { ServerResponse } from 'node:http';

/** Ends the answer to a call of gRPC with its status, in trailers. */
export function endCall(response: ServerResponse, status: number, message: string): void {
  if (response.writableEnded) return;
  if (!response.headersSent) response.writeHead(200, { 'content-type': 'application/grpc' });
  // Before the trailers, so that the message has a body that they may follow.
  response.flushHeaders();
  response.addTrailers({
    'grpc-status': String(status),
    ...(message !== '' && { 'grpc-message': encodeURIComponent(message) }),
  });
  response.end();
}
