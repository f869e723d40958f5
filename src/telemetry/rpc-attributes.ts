import type { Attributes } from '@opentelemetry/api';
import type { HeaderMap } from '../service/headers.js';
import { isGrpc } from '../service/local-reply.js';
import type { Request, Response } from '../service/service.js';
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

/** gRPC's status of a call that has ended; undefined when it has none. */
export function rpcStatusOf(
  response: Response | undefined,
  trailers: HeaderMap | undefined,
): number | undefined {
  const text = trailers?.peek('grpc-status') ?? response?.headers.peek('grpc-status');
  const status = Number(text);
  return text === undefined || !Number.isInteger(status) ? undefined : status;
}

/** OpenTelemetry: statuses that say that the server failed; anything else is its caller's affair. */
const OF_THE_SERVER: ReadonlySet<number> = new Set([2, 4, 12, 13, 14, 15]);

/** Whether a status is an error for this side. */
export function isRpcError(status: number, direction: 'outbound' | 'inbound'): boolean {
  return direction === 'outbound' ? status !== 0 : OF_THE_SERVER.has(status);
}
