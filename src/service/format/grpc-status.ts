import { GRPC_STATUS_NAMES } from '../grpc-status-names.js';
import { grpcStatusOf } from '../local-reply.js';
import type { FormatInput } from './input.js';

const CAMEL = [
  'OK',
  'Canceled',
  'Unknown',
  'InvalidArgument',
  'DeadlineExceeded',
  'NotFound',
  'AlreadyExists',
  'PermissionDenied',
  'ResourceExhausted',
  'FailedPrecondition',
  'Aborted',
  'OutOfRange',
  'Unimplemented',
  'Internal',
  'Unavailable',
  'DataLoss',
  'Unauthenticated',
];

/**
 * The gRPC status of an exchange (Envoy): from the trailers, else the headers, else mapped from the HTTP status.
 * A text that is no number counts as -1.
 */
export function grpcStatusOfExchange({ response, trailers }: FormatInput): number | undefined {
  const text = trailers?.get('grpc-status') ?? response?.headers.get('grpc-status');
  if (text !== undefined) return /^\d+$/.test(text) ? Number(text) : -1;
  if (response === undefined || response.status === 0) return undefined;
  return grpcStatusOf(response.status);
}

/** Whether the request is gRPC. */
export function isGrpcInput({ request }: FormatInput): boolean {
  const type = request?.headers.get('content-type');
  return type !== undefined && (type === 'application/grpc' || type.startsWith('application/grpc+'));
}

/** How GRPC_STATUS writes a status. */
export type GrpcStatusForm = 'CAMEL_STRING' | 'SNAKE_STRING' | 'NUMBER';

/** The status in the form asked for; unknown numbers as they are. */
export function formatGrpcStatus(status: number, form: GrpcStatusForm): string | number {
  if (form === 'NUMBER') return status;
  return (form === 'SNAKE_STRING' ? GRPC_STATUS_NAMES : CAMEL)[status] ?? String(status);
}
