import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { rateLimitService } from '../../../src/proto/xds.js';
import { bytesBody, iterateBody } from '../../../src/service/body.js';
import { Completion } from '../../../src/service/completion.js';
import { HeaderMap } from '../../../src/service/headers.js';
import type { Request, Response, Service } from '../../../src/service/service.js';

type Answer = MessageInitShape<typeof rateLimitService.RateLimitResponseSchema>;

export const { OK, OVER_LIMIT } = rateLimitService.RateLimitResponse_Code;

/** A rate limit service that speaks gRPC over the mesh's own messages; it remembers what it was asked. */
export class FakeRateLimits {
  readonly asked: rateLimitService.RateLimitRequest[] = [];
  readonly requests: Request[] = [];
  /** `hang` never answers. */
  answer: Answer | 'hang' | 'unavailable' | 'garbage' = { overallCode: OK };

  readonly service: Service = async (request) => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of iterateBody(request.body)) chunks.push(chunk);
    const message = Buffer.concat(chunks).subarray(5);
    this.asked.push(fromBinary(rateLimitService.RateLimitRequestSchema, message));
    this.requests.push(request);
    const { answer } = this;
    if (answer === 'hang') return new Promise<Response>(() => {});
    if (answer === 'unavailable') return grpcAnswer(undefined, '14');
    if (answer === 'garbage') return grpcAnswer(Buffer.from([0xff, 0xff]), '0');
    const { RateLimitResponseSchema } = rateLimitService;
    return grpcAnswer(toBinary(RateLimitResponseSchema, create(RateLimitResponseSchema, answer)), '0');
  };
}

/** The answer of a gRPC service: a message, or none, and a status. */
export function grpcAnswer(message: Uint8Array | undefined, status: string): Response {
  const completion = new Completion();
  completion.settle(HeaderMap.from([['grpc-status', status]]));
  const body = message === undefined ? bytesBody('') : bytesBody(framed(message));
  const headers = HeaderMap.from([['content-type', 'application/grpc']]);
  return { status: 200, statusText: '', headers, body, completion };
}

function framed(message: Uint8Array): Uint8Array {
  const frame = Buffer.alloc(5 + message.byteLength);
  frame.writeUInt32BE(message.byteLength, 1);
  frame.set(message, 5);
  return frame;
}
