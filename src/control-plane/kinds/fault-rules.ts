import { GRPC_STATUS_NAMES } from '../../service/grpc-status-names.js';
import type { FieldPath } from '../store/view.js';
import type { Report } from './report.js';
import type { HttpFault } from './types.js';

/** Istio HTTPFaultInjection. */
export function checkFault(fault: HttpFault, path: FieldPath, report: Report): void {
  const { delay, abort } = fault;
  if (delay === undefined && abort === undefined) report.invalid(path, 'a fault needs delay or abort');
  if (delay !== undefined && delay.fixedDelay === undefined) {
    report.invalid([...path, 'delay'], 'a delay needs fixedDelay');
  }
  if (abort === undefined) return;
  const at = [...path, 'abort'];
  const { httpStatus, grpcStatus, http2Error } = abort;
  if (http2Error !== undefined) report.invalid([...at, 'http2Error'], 'Istio does not implement http2Error');
  if (httpStatus !== undefined && grpcStatus !== undefined) {
    report.invalid(at, 'an abort has either httpStatus or grpcStatus');
  } else if (httpStatus === undefined && grpcStatus === undefined && http2Error === undefined) {
    report.invalid(at, 'an abort needs httpStatus or grpcStatus');
  }
  if (grpcStatus !== undefined && !GRPC_STATUS_NAMES.some((name) => name === grpcStatus)) {
    report.invalid(
      [...at, 'grpcStatus'],
      `${JSON.stringify(grpcStatus)} is not a status of gRPC, such as UNAVAILABLE`,
    );
  }
}
