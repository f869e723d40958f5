import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { authService } from '../../../src/proto/xds.js';
import { bytesBody, readBody } from '../../../src/service/body.js';
import { Completion } from '../../../src/service/completion.js';
import { HeaderMap } from '../../../src/service/headers.js';
import type { Request, Response, Service } from '../../../src/service/service.js';
import { grpcAnswer } from './fake-rate-limits.js';

/** What a fake over HTTP answers. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers?: readonly (readonly [string, string])[];
  readonly body?: string | Uint8Array;
}

type Answer = MessageInitShape<typeof authService.CheckResponseSchema>;

/** An authorization service over HTTP; it remembers what it was asked. */
export class FakeHttpAuthz {
  readonly asked: Request[] = [];
  readonly bodies: string[] = [];
  /** `hang` never answers. */
  answer: HttpAnswer | 'hang' = { status: 200 };

  readonly service: Service = async (request) => {
    this.asked.push(request);
    this.bodies.push((await readBody(request.body)).toString());
    const { answer } = this;
    if (answer === 'hang') return new Promise<Response>(() => {});
    return {
      status: answer.status,
      statusText: '',
      headers: HeaderMap.from(answer.headers ?? []),
      body: bytesBody(answer.body ?? ''),
      completion: Completion.done,
    };
  };
}

/** The same over gRPC. */
export class FakeGrpcAuthz {
  readonly asked: authService.CheckRequest[] = [];
  answer: Answer | 'hang' | 'unavailable' | 'garbage' = {};

  readonly service: Service = async (request) => {
    const framed = await readBody(request.body);
    this.asked.push(fromBinary(authService.CheckRequestSchema, framed.subarray(5)));
    const { answer } = this;
    if (answer === 'hang') return new Promise<Response>(() => {});
    if (answer === 'unavailable') return grpcAnswer(undefined, '14');
    if (answer === 'garbage') return grpcAnswer(Buffer.from([0xff, 0xff]), '0');
    const { CheckResponseSchema } = authService;
    return grpcAnswer(toBinary(CheckResponseSchema, create(CheckResponseSchema, answer)), '0');
  };
}
