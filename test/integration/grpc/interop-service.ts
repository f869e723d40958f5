import { setTimeout as sleep } from 'node:timers/promises';
import * as grpc from '@grpc/grpc-js';
import {
  type EchoStatus,
  MESSAGES,
  type Message,
  type ResponseParameters,
  type SimpleRequest,
  type SimpleResponse,
  type StreamingInputCallRequest,
  type StreamingInputCallResponse,
  type StreamingOutputCallRequest,
  type StreamingOutputCallResponse,
} from './interop-messages.js';

/** The service of gRPC's interop tests (`grpc.testing.TestService`), for grpc-js servers and clients. */
export const testService = {
  emptyCall: method('EmptyCall', MESSAGES.Empty, MESSAGES.Empty),
  unaryCall: method('UnaryCall', MESSAGES.SimpleRequest, MESSAGES.SimpleResponse),
  streamingOutputCall: method(
    'StreamingOutputCall',
    MESSAGES.StreamingOutputCallRequest,
    MESSAGES.StreamingOutputCallResponse,
    'response',
  ),
  streamingInputCall: method(
    'StreamingInputCall',
    MESSAGES.StreamingInputCallRequest,
    MESSAGES.StreamingInputCallResponse,
    'request',
  ),
  fullDuplexCall: method(
    'FullDuplexCall',
    MESSAGES.StreamingOutputCallRequest,
    MESSAGES.StreamingOutputCallResponse,
    'both',
  ),
};

/** What clients may call, though no server serves it. */
const unserved = {
  unimplementedCall: method('UnimplementedCall', MESSAGES.Empty, MESSAGES.Empty),
  unimplementedService: {
    ...method('UnimplementedCall', MESSAGES.Empty, MESSAGES.Empty),
    path: '/grpc.testing.UnimplementedService/UnimplementedCall',
  },
};

type Unary<Q, A> = (
  request: Q,
  metadata: grpc.Metadata,
  options: grpc.CallOptions,
  callback: (error: grpc.ServiceError | null, answer?: A) => void,
) => grpc.ClientUnaryCall;

/** A generated client of it. */
export interface TestClient extends grpc.Client {
  emptyCall: Unary<object, object>;
  unaryCall: Unary<SimpleRequest, SimpleResponse>;
  unimplementedCall: Unary<object, object>;
  unimplementedService: Unary<object, object>;
  streamingOutputCall(
    request: StreamingOutputCallRequest,
    metadata?: grpc.Metadata,
    options?: grpc.CallOptions,
  ): grpc.ClientReadableStream<StreamingOutputCallResponse>;
  streamingInputCall(
    metadata: grpc.Metadata,
    options: grpc.CallOptions,
    callback: (error: grpc.ServiceError | null, answer?: StreamingInputCallResponse) => void,
  ): grpc.ClientWritableStream<StreamingInputCallRequest>;
  fullDuplexCall(
    metadata?: grpc.Metadata,
    options?: grpc.CallOptions,
  ): grpc.ClientDuplexStream<StreamingOutputCallRequest, StreamingOutputCallResponse>;
}

/** The class of such clients. grpc-js types what it makes loosely; the methods are those of the definition. */
export const TestClient = grpc.makeGenericClientConstructor(
  { ...testService, ...unserved } as grpc.ServiceDefinition,
  'TestService',
) as unknown as new (
  address: string,
  credentials: grpc.ChannelCredentials,
  options?: grpc.ClientOptions,
) => TestClient;

const ECHO_INITIAL = 'x-grpc-test-echo-initial';
const ECHO_TRAILING = 'x-grpc-test-echo-trailing-bin';

/** How a server of it is made. */
export interface TestServiceOptions {
  readonly serverId?: string;
}

/** The interop server's side of the service, from its public description. */
export function testServiceHandlers({
  serverId = 'server',
}: TestServiceOptions = {}): grpc.UntypedServiceImplementation {
  const handlers = {
    emptyCall(call: grpc.ServerUnaryCall<object, object>, callback: grpc.sendUnaryData<object>) {
      echoInitial(call);
      callback(null, {}, trailersOf(call));
    },
    unaryCall(
      call: grpc.ServerUnaryCall<SimpleRequest, SimpleResponse>,
      callback: grpc.sendUnaryData<SimpleResponse>,
    ) {
      const {
        responseStatus,
        responseType = 0,
        responseSize = 0,
        fillServerId,
        orcaPerQueryReport,
      } = call.request;
      echoInitial(call);
      if (responseStatus !== undefined) callback(statusOf(responseStatus, call));
      else if (responseType !== 0) callback({ code: grpc.status.INVALID_ARGUMENT, details: 'no such type' });
      else {
        report(call.getMetricsRecorder(), orcaPerQueryReport);
        const payload = { type: 0, body: Buffer.alloc(responseSize) };
        callback(null, { payload, ...(fillServerId === true && { serverId }) }, trailersOf(call));
      }
    },
    async streamingOutputCall(
      call: grpc.ServerWritableStream<StreamingOutputCallRequest, StreamingOutputCallResponse>,
    ) {
      echoInitial(call);
      const { responseStatus, responseParameters } = call.request;
      await respond(call, responseParameters);
      if (responseStatus !== undefined) call.emit('error', statusOf(responseStatus, call));
      else call.end(trailersOf(call));
    },
    streamingInputCall(
      call: grpc.ServerReadableStream<StreamingInputCallRequest, StreamingInputCallResponse>,
      callback: grpc.sendUnaryData<StreamingInputCallResponse>,
    ) {
      echoInitial(call);
      let aggregatedPayloadSize = 0;
      call.on('data', ({ payload }: StreamingInputCallRequest) => {
        aggregatedPayloadSize += payload?.body?.byteLength ?? 0;
      });
      call.on('end', () => callback(null, { aggregatedPayloadSize }, trailersOf(call)));
    },
    fullDuplexCall(call: grpc.ServerDuplexStream<StreamingOutputCallRequest, StreamingOutputCallResponse>) {
      echoInitial(call);
      let work = Promise.resolve();
      let isOver = false;
      call.on('data', ({ responseStatus, responseParameters }: StreamingOutputCallRequest) => {
        work = work.then(async () => {
          if (isOver) return;
          if (responseStatus !== undefined) {
            isOver = true;
            call.emit('error', statusOf(responseStatus, call));
          } else await respond(call, responseParameters);
        });
      });
      call.on('end', () => {
        void work.then(() => {
          if (!isOver) call.end(trailersOf(call));
        });
      });
    },
  };
  return handlers as grpc.UntypedServiceImplementation;
}

/** A method of the service; `streams` says which sides send any number of messages. */
function method<Q extends object, A extends object>(
  name: string,
  request: Message<Q>,
  response: Message<A>,
  streams?: 'request' | 'response' | 'both',
): grpc.MethodDefinition<Q, A> {
  return {
    path: `/grpc.testing.TestService/${name}`,
    requestStream: streams === 'request' || streams === 'both',
    responseStream: streams === 'response' || streams === 'both',
    requestSerialize: request.encode,
    requestDeserialize: request.decode,
    responseSerialize: response.encode,
    responseDeserialize: response.decode,
  };
}

interface AnyCall {
  readonly metadata: grpc.Metadata;
  sendMetadata(metadata: grpc.Metadata): void;
}

function echoInitial(call: AnyCall): void {
  const [value] = call.metadata.get(ECHO_INITIAL);
  if (value === undefined) return;
  const metadata = new grpc.Metadata();
  metadata.set(ECHO_INITIAL, value);
  call.sendMetadata(metadata);
}

function trailersOf({ metadata }: AnyCall): grpc.Metadata {
  const trailers = new grpc.Metadata();
  for (const value of metadata.get(ECHO_TRAILING)) trailers.add(ECHO_TRAILING, value);
  return trailers;
}

function statusOf({ code = 0, message = '' }: EchoStatus, call: AnyCall): grpc.StatusObject {
  return { code, details: message, metadata: trailersOf(call) };
}

interface Output {
  write(message: StreamingOutputCallResponse): boolean;
}

/** One response for each of the parameters, `interval_us` after the one before. */
async function respond(call: Output, parameters: readonly ResponseParameters[] = []): Promise<void> {
  for (const { size = 0, intervalUs = 0 } of parameters) {
    if (intervalUs > 0) await sleep(intervalUs / 1000);
    call.write({ payload: { type: 0, body: Buffer.alloc(size) } });
  }
}

type Recorder = ReturnType<grpc.ServerUnaryCall<object, object>['getMetricsRecorder']>;

function report(recorder: Recorder, wanted: SimpleRequest['orcaPerQueryReport']): void {
  if (wanted === undefined) return;
  const { cpuUtilization, memoryUtilization, requestCost = {}, utilization = {} } = wanted;
  if (cpuUtilization !== undefined) recorder.recordCPUUtilizationMetric(cpuUtilization);
  if (memoryUtilization !== undefined) recorder.recordMemoryUtilizationMetric(memoryUtilization);
  for (const [name, value] of Object.entries(requestCost)) recorder.recordRequestCostMetric(name, value);
  for (const [name, value] of Object.entries(utilization)) recorder.recordUtilizationMetric(name, value);
}
