import type { Attributes, Histogram } from '@opentelemetry/api';
import { GRPC_STATUS_NAMES } from '../service/grpc-status-names.js';
import type { ExchangeEnd, Observer } from '../service/observer.js';
import type { Request } from '../service/service.js';
import { isRpcError, type RpcName, rpcAttributes, rpcOf, rpcStatusOf } from './rpc-attributes.js';
import { serverOf } from './span-attributes.js';

/** The buckets that OpenTelemetry's HTTP conventions ask for, in seconds. */
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

/** Those of its RPC conventions, in milliseconds. */
const RPC_BUCKETS = BUCKETS.map((seconds) => seconds * 1000);

/**
 * Loads OpenTelemetry's API and records `http.client.request.duration` and `http.server.request.duration` (seconds) with
 * the meter provider that the application set up; of calls of gRPC `rpc.client.duration` and `rpc.server.duration`
 * (milliseconds).
 */
export async function loadOtelMetrics(version: string): Promise<Observer> {
  const { metrics } = await import('@opentelemetry/api');
  const meter = metrics.getMeter('inmesh', version);
  const durations = (side: 'client' | 'server'): Histogram =>
    meter.createHistogram(`http.${side}.request.duration`, {
      unit: 's',
      description: `Duration of HTTP ${side} requests.`,
      advice: { explicitBucketBoundaries: BUCKETS },
    });
  const rpcDurations = (side: 'client' | 'server'): Histogram =>
    meter.createHistogram(`rpc.${side}.duration`, {
      unit: 'ms',
      description: `Duration of gRPC calls of a ${side}.`,
      advice: { explicitBucketBoundaries: RPC_BUCKETS },
    });
  const [client, server] = [durations('client'), durations('server')];
  const [rpcClient, rpcServer] = [rpcDurations('client'), rpcDurations('server')];
  return {
    exchange(request, end) {
      const rpc = rpcOf(request);
      if (rpc !== undefined) {
        const histogram = request.context.direction === 'outbound' ? rpcClient : rpcServer;
        histogram.record(end.durationMs, rpcAttributesOf(request, rpc, end));
        return;
      }
      const histogram = request.context.direction === 'outbound' ? client : server;
      histogram.record(end.durationMs / 1000, attributesOf(request, end));
    },
  };
}

function attributesOf(request: Request, { status, error, response }: ExchangeEnd): Attributes {
  const isClient = request.context.direction === 'outbound';
  const { host, port } = serverOf(request);
  const isError = status >= (isClient ? 400 : 500) || status === 0;
  return {
    'http.request.method': request.method,
    // A caller chooses what a server's Host says, so servers leave it out.
    ...(isClient ? { 'server.address': host, 'server.port': port } : { 'url.scheme': request.scheme }),
    ...(status > 0 && { 'http.response.status_code': status }),
    ...(isError && { 'error.type': errorType(status, error, response?.local?.reason) }),
  };
}

function rpcAttributesOf(
  request: Request,
  rpc: RpcName,
  { status, error, response }: ExchangeEnd,
): Attributes {
  const code = rpcStatusOf(request, { response, error, trailers: response?.completion.end?.trailers });
  const isError = code === undefined || isRpcError(code, request.context.direction);
  return {
    ...rpcAttributes(request, rpc),
    ...(code !== undefined && { 'rpc.grpc.status_code': code }),
    ...(isError && { 'error.type': rpcErrorType(code, status, error, response?.local?.reason) }),
  };
}

function rpcErrorType(
  code: number | undefined,
  status: number,
  error: unknown,
  reason: string | undefined,
): string {
  if (reason !== undefined) return reason;
  return code === undefined ? errorType(status, error, reason) : (GRPC_STATUS_NAMES[code] ?? String(code));
}

function errorType(status: number, error: unknown, reason: string | undefined): string {
  if (reason !== undefined) return reason;
  if (error instanceof Error) return error.name;
  return status > 0 ? String(status) : '_OTHER';
}
