import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { writeLoad } from '../../mesh/orca/write-load.js';
import type { Clock } from '../../runtime/clock.js';
import { type ProcessLoad, readProcessLoad } from '../../runtime/process-load.js';
import { isServerFault } from '../../service/grpc-status-names.js';
import { inherited } from '../http/count-bytes.js';
import { LoadMeter, type MeasuredLoad } from '../http/load/load-meter.js';

const ASK = 'endpoint-load-metrics-format';
/** gRFC A51: the trailer that carries a report. */
const TRAILER = 'endpoint-load-metrics-bin';

/** Reports of this process's load in the trailers of calls, for callers of the mesh who ask (ORCA). */
export class CallLoads {
  readonly #clock: Clock;
  readonly #read: () => ProcessLoad;
  /** Made by the first who asks: until then nothing is counted. */
  #meter: LoadMeter | undefined;

  constructor(clock: Clock, read: () => ProcessLoad = readProcessLoad) {
    this.#clock = clock;
    this.#read = read;
  }

  /** A call came. Only callers with an identity of the mesh get figures that nobody meant for them. */
  arrived(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, isTrusted: boolean): void {
    const asks = isTrusted && headers[ASK] !== undefined;
    if (asks) this.#meter ??= new LoadMeter(this.#clock, this.#read);
    const meter = this.#meter;
    if (meter === undefined) return;
    meter.arrived();
    stream.once('close', () => {
      const status: unknown = (stream.sentTrailers ?? stream.sentHeaders)?.['grpc-status'];
      if (status !== undefined && isServerFault(Number(status))) meter.failed();
    });
    if (!asks) return;
    stream.sendTrailers = (trailers) => {
      inherited(stream).sendTrailers.call(stream, withLoad(trailers, meter.load()));
    };
  }
}

/** What the application says itself comes second: of two messages in a row, protobuf takes the later value. */
function withLoad(trailers: OutgoingHttpHeaders, load: MeasuredLoad | undefined): OutgoingHttpHeaders {
  if (load === undefined) return trailers;
  const measured = writeLoad({
    ...load,
    memUtilization: 0,
    utilization: NONE,
    requestCost: NONE,
    namedMetrics: NONE,
  });
  const said = trailers[TRAILER];
  const own = Buffer.from(typeof said === 'string' ? said : '', 'base64');
  return { ...trailers, [TRAILER]: Buffer.concat([measured, own]).toString('base64') };
}

const NONE: ReadonlyMap<string, number> = new Map();
