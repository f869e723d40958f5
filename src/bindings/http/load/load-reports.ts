import type { IncomingMessage, ServerResponse } from 'node:http';
import type { LoadReport } from '../../../model/load-report.js';
import type { Clock } from '../../../runtime/clock.js';
import { type ProcessLoad, readProcessLoad } from '../../../runtime/process-load.js';
import { LoadMeter } from './load-meter.js';
import { checkLoad, loadReport, loadText, mergeLoads, type ReportedLoad } from './reported-load.js';

const ASK = 'endpoint-load-metrics-format';
const HEADER = 'endpoint-load-metrics';

/** The way to the response of a request, for what the application reports. */
const answers = new WeakMap<IncomingMessage, (load: ReportedLoad) => void>();

/**
 * Says in the response to a request how loaded the application is, for clients that balance by it (ORCA). It has to come
 * before the head of the response; a later call replaces what an earlier one said. What is left out is what
 * `mesh.reportLoad` said, else it is measured.
 * @throws MeshError `INMESH_OPTION_INVALID` for values that are negative or not finite.
 */
export function reportLoad(request: IncomingMessage, load: ReportedLoad): void {
  answers.get(request)?.(load);
}

/** Reports of load: in responses where the caller asks, and where the application says something; and over streams. */
export class LoadReports {
  readonly #clock: Clock;
  readonly #read: () => ProcessLoad;
  /** Made by the first who wants to know: until then nothing is counted. */
  #meter: LoadMeter | undefined;
  /** What the application said last, of all that it does. */
  #said: ReportedLoad = {};

  constructor(clock: Clock, read: () => ProcessLoad = readProcessLoad) {
    this.#clock = clock;
    this.#read = read;
  }

  get clock(): Clock {
    return this.#clock;
  }

  /** What the application says of all that it does, until it says something else. */
  say(load: ReportedLoad): void {
    checkLoad(load);
    this.#said = load;
  }

  /** A request came. Only callers with an identity of the mesh get figures that nobody meant for them. */
  arrived(request: IncomingMessage, response: ServerResponse, isTrusted: boolean): void {
    answers.set(request, (load) => this.#say(response, load));
    const asks = isTrusted && request.headers[ASK] !== undefined;
    const meter = this.count(asks);
    if (meter === undefined) return;
    response.once('close', () => {
      if (response.statusCode >= 500) meter.failed();
    });
    if (asks) this.#say(response, {});
  }

  /** Counts a request, and gives what counts its failure; undefined while nobody wants to know. */
  count(asks: boolean): LoadMeter | undefined {
    const meter = asks ? this.#measure() : this.#meter;
    meter?.arrived();
    return meter;
  }

  /** The load now, with what is said in an answer. */
  reportWith(load: ReportedLoad): LoadReport {
    return loadReport(mergeLoads(this.#said, load), this.#measure().load());
  }

  /** The load now; undefined while nothing was measured and nothing is said. */
  report(): LoadReport | undefined {
    const measured = this.#measure().load();
    const isSaid = Object.keys(this.#said).length > 0;
    return measured === undefined && !isSaid ? undefined : loadReport(this.#said, measured);
  }

  #measure(): LoadMeter {
    this.#meter ??= new LoadMeter(this.#clock, this.#read);
    return this.#meter;
  }

  #say(response: ServerResponse, load: ReportedLoad): void {
    const text = loadText(mergeLoads(this.#said, load), this.#measure().load());
    if (text !== undefined && !response.headersSent) response.setHeader(HEADER, text);
  }
}
