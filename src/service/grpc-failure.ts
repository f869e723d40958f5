import type { TransportError } from './transport-error.js';

/** HTTP/2 error codes whose statuses may be retried, as gRPC maps them; all others are INTERNAL. */
const GRPC_STATUS_OF_RESET: Readonly<Record<number, string>> = { 7: '14', 8: '1', 11: '8', 12: '7' };

/** The status that a gRPC client sees of an attempt without an answer; undefined when it sees none of the peer's. */
export function grpcStatusOfFailure({ failure, resetCode }: TransportError): number | undefined {
  switch (failure) {
    case 'connect':
    case 'refused':
    case 'protocol':
      return 14;
    case 'reset':
    case 'remote-reset':
      // A connection that broke has no code.
      return resetCode === undefined ? 14 : Number(GRPC_STATUS_OF_RESET[resetCode] ?? '13');
    case 'stream-duration':
      return 4;
    case 'per-try-timeout':
    case 'per-try-idle-timeout':
    case 'aborted':
      return undefined;
  }
}
