import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { reportBytes } from '../../mesh/orca/report-wire.js';
import { MeshError } from '../../runtime/errors.js';
import type { LoadReports } from '../http/load/load-reports.js';
import { checkLoad, type ReportedLoad } from '../http/load/reported-load.js';

const ASK = 'endpoint-load-metrics-format';
/** gRFC A51: the trailer that carries a report. */
const TRAILER = 'endpoint-load-metrics-bin';
/** UNKNOWN, DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE, DATA_LOSS: the server failed, not its caller. */
const FAILURES: ReadonlySet<number> = new Set([2, 4, 13, 14, 15]);

const LOADS = Symbol('reports of the process');
const SAID = Symbol('load that the application reported');

type Reporting = ServerHttp2Stream & { [LOADS]?: LoadReports; [SAID]?: ReportedLoad };

/**
 * Takes note of a call, and has the load told in its trailers when the caller asks (ORCA). Only callers with an identity of
 * the mesh get figures that nobody meant for them.
 */
export function countLoad(
  stream: Reporting,
  headers: IncomingHttpHeaders,
  loads: LoadReports,
  isTrusted: boolean,
): void {
  stream[LOADS] = loads;
  const asks = isTrusted && headers[ASK] !== undefined;
  const meter = loads.count(asks);
  if (meter === undefined) return;
  stream.once('close', () => {
    const status: unknown = (stream.sentTrailers ?? stream.sentHeaders)?.['grpc-status'];
    if (status !== undefined && FAILURES.has(Number(status))) meter.failed();
  });
  if (asks) sayLoad(stream, loads, {});
}

/**
 * Says in the trailers of a call how loaded the application is, for clients that balance by it (ORCA). It has to come before
 * the end of the call; a later report replaces what an earlier one said. What is left out is what `mesh.reportLoad` said,
 * else it is measured.
 * @throws MeshError `INMESH_OPTION_INVALID` for values that are negative or not finite, `INMESH_UNSUPPORTED` for what is no
 * call of a server of the mesh.
 */
export function reportLoad(call: object, load: ReportedLoad): void {
  checkLoad(load);
  const stream = streamOf(call);
  const loads = stream?.[LOADS];
  if (stream === undefined || loads === undefined) {
    throw new MeshError('INMESH_UNSUPPORTED', 'this is no call of a server of the mesh', {
      hint: 'Give what the handler of a method was called with, on a server of meshServer()',
    });
  }
  sayLoad(stream, loads, load);
}

function sayLoad(stream: Reporting, loads: LoadReports, load: ReportedLoad): void {
  const isFirst = stream[SAID] === undefined;
  stream[SAID] = load;
  if (!isFirst) return;
  const { sendTrailers } = stream;
  stream.sendTrailers = (trailers) => {
    const report = reportBytes(loads.reportWith(stream[SAID] ?? {}));
    sendTrailers.call(stream, withLoad(trailers, report));
  };
}

/** What grpc-js recorded comes second: of two messages in a row, protobuf takes the later value. */
function withLoad(trailers: OutgoingHttpHeaders, report: Uint8Array): OutgoingHttpHeaders {
  const recorded = trailers[TRAILER];
  const own = Buffer.from(typeof recorded === 'string' ? recorded : '', 'base64');
  return { ...trailers, [TRAILER]: Buffer.concat([report, own]).toString('base64') };
}

/** The stream of a handler's call. Interceptors lie between a handler's call and the stream; grpc-js has no public way from one to the other. */
export function streamOf(call: object): Reporting | undefined {
  let at: object | undefined = property(call, 'call');
  while (at !== undefined) {
    const stream = property(at, 'stream');
    // What answers to that is a stream of HTTP/2.
    if (stream !== undefined && 'sendTrailers' in stream) return stream as Reporting;
    at = property(at, 'nextCall');
  }
  return undefined;
}

function property(of: object, name: string): object | undefined {
  const value: unknown = Reflect.get(of, name);
  return typeof value === 'object' && value !== null ? value : undefined;
}
