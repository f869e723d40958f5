import type { IncomingMessage, ServerResponse } from 'node:http';
import { readReportInterval, reportFrame, STREAM_REPORTS } from '../../../mesh/orca/report-wire.js';
import type { Timer } from '../../../runtime/clock.js';
import { GrpcFrames } from '../../../service/grpc-frames.js';
import { isGrpcType } from '../../../service/local-reply.js';
import { endCall } from '../grpc-outcome.js';
import { StreamSocket } from '../http2/stream-socket.js';
import type { LoadReports } from './load-reports.js';

/** gRPC's default, where the client names no interval. */
const DEFAULT_INTERVAL_MS = 30_000;
/** What is measured is measured over a second at least. */
const LEAST_INTERVAL_MS = 1000;
const MAX_REQUEST_BYTES = 16_384;

const STATUS = { INVALID_ARGUMENT: 3, UNAVAILABLE: 14 } as const;

/** Whether a request asks for a stream of reports: gRPC's OpenRcaService, over HTTP/2. */
export function asksForReports({ url, method, headers, socket }: IncomingMessage): boolean {
  return (
    url === STREAM_REPORTS &&
    method === 'POST' &&
    socket instanceof StreamSocket &&
    isGrpcType(headers['content-type'])
  );
}

/** The streams over which a server reports its load (gRFC A51, OpenRcaService). */
export class LoadStreams {
  readonly #loads: LoadReports;
  readonly #streams = new Set<LoadStream>();

  constructor(loads: LoadReports) {
    this.#loads = loads;
  }

  /** Answers a request that asks for reports. */
  serve(request: IncomingMessage, response: ServerResponse): void {
    const stream = new LoadStream(request, response, this.#loads);
    this.#streams.add(stream);
    response.once('close', () => {
      stream.stop();
      this.#streams.delete(stream);
    });
  }

  /** The server goes away. */
  close(): void {
    for (const stream of this.#streams) stream.end(STATUS.UNAVAILABLE, 'the server goes away');
  }
}

class LoadStream {
  readonly #socket: IncomingMessage['socket'];
  readonly #response: ServerResponse;
  readonly #loads: LoadReports;
  readonly #frames = new GrpcFrames(MAX_REQUEST_BYTES);
  #intervalMs: number | undefined;
  #timer: Timer | undefined;
  #isOver = false;

  constructor(request: IncomingMessage, response: ServerResponse, loads: LoadReports) {
    this.#socket = request.socket;
    this.#response = response;
    this.#loads = loads;
    request.on('data', (chunk: Buffer) => this.#take(chunk));
    request.on('end', () => {
      if (this.#intervalMs === undefined) this.end(STATUS.INVALID_ARGUMENT, 'there was no request');
    });
  }

  stop(): void {
    this.#isOver = true;
    this.#timer?.cancel();
  }

  end(status: number, message: string): void {
    if (this.#isOver) return;
    this.stop();
    endCall(this.#response, status, message);
  }

  #take(chunk: Buffer): void {
    if (this.#isOver || this.#intervalMs !== undefined) return;
    try {
      for (const message of this.#frames.feed(chunk)) {
        const wishMs = readReportInterval(message);
        this.#begin(wishMs > 0 ? wishMs : DEFAULT_INTERVAL_MS);
        return;
      }
    } catch {
      this.end(STATUS.INVALID_ARGUMENT, 'the request can not be read');
    }
  }

  #begin(intervalMs: number): void {
    this.#intervalMs = Math.max(LEAST_INTERVAL_MS, intervalMs);
    this.#response.writeHead(200, { 'content-type': 'application/grpc' });
    this.#response.flushHeaders();
    this.#report();
  }

  #report(): void {
    if (this.#isOver || this.#intervalMs === undefined) return;
    if (this.#socket instanceof StreamSocket && this.#socket.isDraining) {
      this.end(STATUS.UNAVAILABLE, 'the connection goes away');
      return;
    }
    const report = this.#loads.report();
    // Who does not read in time gets the next one.
    if (report !== undefined && !this.#response.writableNeedDrain) {
      this.#response.write(reportFrame(report));
    }
    const delayMs = report === undefined ? LEAST_INTERVAL_MS : this.#intervalMs;
    this.#timer = this.#loads.clock.schedule(delayMs, () => this.#report());
  }
}
