import type { Attributes } from '@opentelemetry/api';
import { grpcStatusOfFailure } from '../service/grpc-failure.js';
import type { HeaderMap } from '../service/headers.js';
import { grpcStatusOf, isGrpc } from '../service/local-reply.js';
import type { Request, Response } from '../service/service.js';
import { TransportError } from '../service/transport-error.js';
import { serverOf } from './span-attributes.js';

/** A call of gRPC, as OpenTelemetry's conventions for RPC name its parts. */
export interface RpcName {
  /** `package.Service` */
  readonly service: string;
  readonly method: string;
}

/** What a request calls; undefined when it is no call of gRPC. */
export function rpcOf(request: Request): RpcName | undefined {
  if (request.method !== 'POST' || !isGrpc(request)) return undefined;
  const slash = request.path.lastIndexOf('/');
  return { service: request.path.slice(1, slash), method: request.path.slice(slash + 1) };
}

/** What is known of a call at its start. */
export function rpcAttributes(request: Request, { service, method }: RpcName): Attributes {
  const { host, port } = serverOf(request);
  return {
    'rpc.system': 'grpc',
    'rpc.service': service,
    'rpc.method': method,
    // A caller chooses what a server's authority says, so servers leave it out.
    ...(request.context.direction === 'outbound' && { 'server.address': host, 'server.port': port }),
  };
}

/** How a call ended. */
export interface RpcEnd {
  readonly response: Response | undefined;
  readonly trailers: HeaderMap | undefined;
  readonly error: unknown;
}

/**
 * gRPC's status of a call that has ended: what its server says, else what its client sees instead. Undefined when nobody
 * says anything.
 */
export function rpcStatusOf({ context }: Request, end: RpcEnd): number | undefined {
  const { response, trailers, error } = end;
  const text = trailers?.peek('grpc-status') ?? response?.headers.peek('grpc-status');
  if (text !== undefined) {
    const status = Number(text);
    return Number.isInteger(status) ? status : UNKNOWN;
  }
  if (context.callStatus !== undefined) return context.callStatus;
  if (TransportError.is(error)) return grpcStatusOfFailure(error);
  // A broken answer whose cause the transport told apart.
  if (error !== undefined && context.bodyFailure !== undefined) {
    return grpcStatusOfFailure(new TransportError(context.bodyFailure, true, error, context.resetCode));
  }
  return response === undefined || response.status === 200 ? undefined : grpcStatusOf(response.status);
}

const UNKNOWN = 2;

/** OpenTelemetry: statuses that say that the server failed; anything else is its caller's affair. */
const OF_THE_SERVER: ReadonlySet<number> = new Set([2, 4, 12, 13, 14, 15]);

/** Whether a status is an error for this side. */
export function isRpcError(status: number, direction: 'outbound' | 'inbound'): boolean {
  return direction === 'outbound' ? status !== 0 : OF_THE_SERVER.has(status);
}
