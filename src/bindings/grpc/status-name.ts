import { GRPC_STATUS_NAMES } from '../../service/grpc-status-names.js';

/** The name of a gRPC status code, as `grpc.status` has it; of one that gRPC does not know, its number. */
export function statusName(code: number): string {
  return GRPC_STATUS_NAMES[code] ?? String(code);
}
