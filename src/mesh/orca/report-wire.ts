import { decodeOptionalDuration } from '../../codec/duration.js';
import { encodeLoadReport } from '../../codec/load-report.js';
import { rootPath } from '../../codec/path.js';
import type { LoadReport } from '../../model/load-report.js';
import { readMessage } from '../../proto/read-message.js';
import { orcaService } from '../../proto/xds.js';
import { grpcFrame } from '../../service/grpc-frames.js';

/** gRPC's method that streams reports of load (gRFC A51). */
export const STREAM_REPORTS = '/xds.service.orca.v3.OpenRcaService/StreamCoreMetrics';

/**
 * How often the sender of a request wants reports, in milliseconds; 0 = as the server likes.
 * @throws Error for what is no such request
 */
export function readReportInterval(message: Uint8Array): number {
  const { reportInterval } = readMessage(orcaService.OrcaLoadReportRequestSchema, message);
  return decodeOptionalDuration(reportInterval, rootPath('OrcaLoadReportRequest')) ?? 0;
}

/** A report as bytes. */
export function reportBytes(report: LoadReport): Uint8Array {
  return encodeLoadReport(report);
}

/** A report as a message of a stream. */
export function reportFrame(report: LoadReport): Uint8Array {
  return grpcFrame(encodeLoadReport(report));
}
