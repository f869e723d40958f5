import { encodeLoadReport } from '../../codec/load-report.js';
import type { LoadReport } from '../../model/load-report.js';

/** A report of load as trailers carry it, before base64. */
export function writeLoad(report: LoadReport): Uint8Array {
  return encodeLoadReport(report);
}
