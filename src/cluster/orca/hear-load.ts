import type { LoadReport } from '../../model/load-report.js';
import type { HeaderMap } from '../../service/headers.js';
import type { Request, Response } from '../../service/service.js';

/** Reads the report that headers or trailers carry; undefined = none. */
export type ReadLoad = (headers: HeaderMap) => LoadReport | undefined;

const ASK = 'endpoint-load-metrics-format';

/** Servers that report only to those who ask are asked; whoever asked already gets what it wants. */
export function askForLoad({ headers }: Request): void {
  if (!headers.has(ASK)) headers.set(ASK, 'TEXT');
}

/** Envoy: one report a response, from its headers, else from its trailers. */
export function hearLoad(response: Response, read: ReadLoad, take: (report: LoadReport) => void): void {
  const report = read(response.headers);
  if (report !== undefined) {
    take(report);
    return;
  }
  response.completion.onEnd(({ trailers }) => {
    const late = trailers && read(trailers);
    if (late !== undefined) take(late);
  });
}
