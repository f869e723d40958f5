import { GRPC_STATUS_NAMES } from '../../service/grpc-status-names.js';
import type { Report } from './report.js';
import type { HttpFault } from './types.js';
import type { FieldPath } from './view.js';

/** Istio HTTPFaultInjection. */
export function checkFault(fault: HttpFault, path: FieldPath, report: Report): void {
  const { delay, abort } = fault;
  if (delay === undefined && abort === undefined) report.invalid(path, 'a fault needs delay or abort');
  if (delay?.exponentialDelay !== undefined) {
    report.invalid([...path, 'delay', 'exponentialDelay'], 'Istio does not implement exponentialDelay');
  } else if (delay !== undefined && delay.fixedDelay === undefined) {
    report.warn([...path, 'delay'], 'a delay without fixedDelay delays nothing');
  }
  checkPercentage(delay?.percentage?.value, [...path, 'delay', 'percentage', 'value'], report);
  if (abort === undefined) return;
  const at = [...path, 'abort'];
  const { httpStatus, grpcStatus, http2Error } = abort;
  checkPercentage(abort.percentage?.value, [...at, 'percentage', 'value'], report);
  if (http2Error !== undefined) report.invalid([...at, 'http2Error'], 'Istio does not implement http2Error');
  if (httpStatus !== undefined && grpcStatus !== undefined) {
    report.invalid(at, 'an abort has either httpStatus or grpcStatus');
  } else if (httpStatus === undefined && grpcStatus === undefined && http2Error === undefined) {
    report.warn(at, 'an abort without httpStatus or grpcStatus aborts nothing');
  }
  if (grpcStatus !== undefined && !GRPC_STATUS_NAMES.some((name) => name === grpcStatus)) {
    report.invalid(
      [...at, 'grpcStatus'],
      `${JSON.stringify(grpcStatus)} is not a status of gRPC, such as UNAVAILABLE`,
    );
  }
}

/** Istio: a percentage of less than one in a million is none that Envoy can draw. */
function checkPercentage(value: number | undefined, path: FieldPath, report: Report): void {
  if (value === undefined || value === 0 || value >= 0.0001) return;
  report.invalid(path, 'a percentage is 0, or from 0.0001 to 100');
}
