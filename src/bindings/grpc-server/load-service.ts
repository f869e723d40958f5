import type { Server, ServerWritableStream } from '@grpc/grpc-js';
import { readReportInterval, reportBytes, STREAM_REPORTS } from '../../mesh/orca/report-wire.js';
import type { Timer } from '../../runtime/clock.js';
import type { LoadReports } from '../http/load/load-reports.js';
import { streamOf } from './loads.js';

type Call = ServerWritableStream<Buffer, Buffer>;

/** gRPC's default, where the client names no interval. */
const DEFAULT_INTERVAL_MS = 30_000;
/** What is measured is measured over a second at least. */
const LEAST_INTERVAL_MS = 1000;
const { INVALID_ARGUMENT, UNIMPLEMENTED, UNAVAILABLE } = {
  INVALID_ARGUMENT: 3,
  UNIMPLEMENTED: 12,
  UNAVAILABLE: 14,
};

/**
 * gRPC's OpenRcaService (gRFC A51), unless the application has it itself: it streams the load of this process to callers
 * with an identity of the mesh.
 */
export class LoadService {
  readonly #server: Server;
  readonly #loads: LoadReports;
  readonly #calls = new Map<Call, Timer | undefined>();
  #isServed = false;

  constructor(server: Server, loads: LoadReports) {
    this.#server = server;
    this.#loads = loads;
  }

  /** Somebody asks for it: it is registered unless there is one. */
  serve(): void {
    if (this.#isServed) return;
    this.#isServed = true;
    const same = (bytes: Buffer) => bytes;
    this.#server.register(STREAM_REPORTS, (call: Call) => this.#begin(call), same, same, 'serverStream');
  }

  /** Ends every stream: the server goes away. */
  close(): void {
    for (const call of this.#calls.keys()) this.#end(call, UNAVAILABLE, 'the server goes away');
  }

  #begin(call: Call): void {
    // The mesh writes this header, and nobody else.
    if (call.metadata.get('x-forwarded-client-cert').length === 0) {
      this.#end(call, UNIMPLEMENTED, 'this service is for members of the mesh');
      return;
    }
    let wishMs: number;
    try {
      wishMs = readReportInterval(call.request) || DEFAULT_INTERVAL_MS;
    } catch {
      this.#end(call, INVALID_ARGUMENT, 'the request can not be read');
      return;
    }
    call.once('cancelled', () => this.#forget(call));
    this.#tell(call, Math.max(LEAST_INTERVAL_MS, wishMs));
  }

  #tell(call: Call, intervalMs: number): void {
    if (streamOf(call)?.session?.closed !== false) {
      this.#end(call, UNAVAILABLE, 'the connection goes away');
      return;
    }
    const report = this.#loads.report();
    // Who does not read in time gets the next one.
    if (report !== undefined && !call.writableNeedDrain) call.write(Buffer.from(reportBytes(report)));
    const delayMs = report === undefined ? LEAST_INTERVAL_MS : intervalMs;
    this.#calls.set(
      call,
      this.#loads.clock.schedule(delayMs, () => this.#tell(call, intervalMs)),
    );
  }

  #forget(call: Call): void {
    this.#calls.get(call)?.cancel();
    this.#calls.delete(call);
  }

  #end(call: Call, code: number, details: string): void {
    this.#forget(call);
    call.emit('error', Object.assign(new Error(details), { code, details }));
  }
}
