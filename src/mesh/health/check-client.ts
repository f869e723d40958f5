import { networkFailure, type ProbeResult, type ProbeTarget } from '../../cluster/health/probe.js';
import type { EndpointTransport } from '../../cluster/transport.js';
import type { HeaderChange } from '../../routing/header-mutation.js';
import type { Abort } from '../../runtime/abort.js';
import type { Clock } from '../../runtime/clock.js';
import type { Body } from '../../service/body.js';
import { createExchange } from '../../service/context.js';
import { inputOf } from '../../service/format/tools.js';
import type { HeaderMap } from '../../service/headers.js';
import type { Request, Response } from '../../service/service.js';
import { causeOf, ignore } from './exchange.js';
import { openForCheck } from './target.js';

/** What a check asks. */
export interface CheckRequest {
  readonly method: string;
  readonly authority: string;
  readonly path: string;
  readonly headers: HeaderMap;
  readonly body: Body;
}

/** Sends the requests of one host's checks, on connections of its own. */
export class CheckClient {
  readonly #target: ProbeTarget;
  readonly #clock: Clock;
  #transport: EndpointTransport | undefined;

  constructor(target: ProbeTarget, clock: Clock) {
    this.#target = target;
    this.#clock = clock;
  }

  /** The request of a check, with what the configuration changes of its headers. */
  request(asked: CheckRequest, change: HeaderChange | undefined, abort: Abort): Request {
    const { cluster, host } = this.#target;
    const context = createExchange('outbound', this.#clock.now(), 0);
    context.clusterName = cluster.name;
    context.upstreamHost = host.address;
    context.upstream = host;
    const scheme = cluster.tls === undefined ? 'http' : 'https';
    const request: Request = { ...asked, scheme, abort, context };
    change?.(request.headers, inputOf(request));
    return request;
  }

  /** Sends it and has the answer judged; what does not come to that is a failure of the network. */
  async ask(request: Request, judge: (response: Response) => Promise<ProbeResult>): Promise<ProbeResult> {
    this.#transport ??= openForCheck(this.#target);
    try {
      return await judge(await this.#transport.service(request));
    } catch (error) {
      this.close();
      return networkFailure(causeOf(error));
    } finally {
      if (!this.#target.check.reuseConnection) this.close();
    }
  }

  close(): void {
    const transport = this.#transport;
    this.#transport = undefined;
    transport?.close().catch(ignore);
  }
}
