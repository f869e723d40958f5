import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type RequestListener } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { type handleUnaryCall, type Metadata, Server, ServerCredentials, status } from '@grpc/grpc-js';
import { authService } from '../../../src/proto/xds.js';

/** Authorization services as others write them, on sockets of their own. */

/** A server under test and how to stop it. */
export interface Started {
  readonly port: number;
  readonly stop: () => unknown;
}

/** A request as an HTTP service saw it. */
export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export async function startHttp(listener: RequestListener): Promise<Started> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const stop = () => {
    server.close();
    server.closeAllConnections();
  };
  return { port: (server.address() as AddressInfo).port, stop };
}

/** An HTTP service that remembers what it saw. */
export async function startSeeing(
  answer: (seen: SeenRequest, response: Parameters<RequestListener>[1]) => void,
): Promise<Started & { readonly seen: SeenRequest[] }> {
  const seen: SeenRequest[] = [];
  const started = await startHttp((request, response) => {
    const chunks: Buffer[] = [];
    request.on('error', () => {});
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const one = {
        method: request.method ?? '',
        url: request.url ?? '',
        headers: request.headers,
        body: Buffer.concat(chunks).toString(),
      };
      seen.push(one);
      answer(one, response);
    });
  });
  return { ...started, seen };
}

/** A server that does with its sockets what it likes. */
export async function startTcp(onSocket: (socket: Socket) => void): Promise<Started> {
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    onSocket(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const stop = () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  return { port: (server.address() as AddressInfo).port, stop };
}

/** A port on which nobody listens. */
export async function closedPort(): Promise<number> {
  const { port, stop } = await startTcp(() => {});
  stop();
  return port;
}

type Question = authService.CheckRequest;
/** Undefined never answers. */
export type Decide = (
  question: Question,
  metadata: Metadata,
) => MessageInitShape<typeof authService.CheckResponseSchema> | Error | undefined;

/** An authorization service of grpc-js. */
export async function startGrpc(decide: Decide): Promise<Started> {
  const { CheckRequestSchema, CheckResponseSchema } = authService;
  const server = new Server();
  const check: handleUnaryCall<Question, authService.CheckResponse> = (call, reply) => {
    const answer = decide(call.request, call.metadata);
    if (answer instanceof Error) reply({ code: status.UNAVAILABLE, message: answer.message });
    else if (answer !== undefined) reply(null, create(CheckResponseSchema, answer));
  };
  server.addService(
    {
      Check: {
        path: '/envoy.service.auth.v3.Authorization/Check',
        requestStream: false,
        responseStream: false,
        requestSerialize: (message: Question) => Buffer.from(toBinary(CheckRequestSchema, message)),
        requestDeserialize: (bytes: Buffer) => fromBinary(CheckRequestSchema, bytes),
        responseSerialize: (message: authService.CheckResponse) =>
          Buffer.from(toBinary(CheckResponseSchema, message)),
        responseDeserialize: (bytes: Buffer) => fromBinary(CheckResponseSchema, bytes),
      },
    },
    { Check: check },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return { port, stop: () => server.forceShutdown() };
}
