import { readLoadReport } from '../../codec/load-report.js';
import type { LoadReport } from '../../model/load-report.js';
import type { HeaderMap } from '../../service/headers.js';

/** The report of load that headers or trailers carry; undefined = none, or one that can't be read. */
export function readLoad(headers: HeaderMap): LoadReport | undefined {
  const bin = headers.get('endpoint-load-metrics-bin');
  const text = bin === undefined ? headers.get('endpoint-load-metrics') : undefined;
  return bin === undefined && text === undefined ? undefined : readLoadReport(bin, text);
}
