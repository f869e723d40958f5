import type { Probe, ProbeResult, ProbeTarget } from '../../cluster/health/probe.js';
import type { HttpHealthChecker, StatusRange } from '../../model/health-check.js';
import { compileMutations, type HeaderChange } from '../../routing/header-mutation.js';
import { compileString, type StringPredicate } from '../../routing/match.js';
import type { Abort } from '../../runtime/abort.js';
import type { Clock } from '../../runtime/clock.js';
import { type Body, bytesBody, EMPTY_BODY, iterateBody } from '../../service/body.js';
import { formatToolsOf } from '../../service/format/tools.js';
import { HeaderMap } from '../../service/headers.js';
import type { Request, Response } from '../../service/service.js';
import { CheckClient } from './check-client.js';
import { finished } from './exchange.js';
import { containsInOrder, fromHex } from './payload.js';
import { checkAuthority } from './target.js';

/** Checks a host by an HTTP request (Envoy HttpHealthCheck). */
export class HttpProbe implements Probe {
  readonly #target: ProbeTarget;
  readonly #checker: HttpHealthChecker;
  readonly #client: CheckClient;
  readonly #change: HeaderChange | undefined;
  readonly #body: Body;
  readonly #receive: readonly Buffer[];
  readonly #isService: StringPredicate | undefined;

  constructor(target: ProbeTarget, checker: HttpHealthChecker, clock: Clock) {
    this.#target = target;
    this.#checker = checker;
    this.#client = new CheckClient(target, clock);
    this.#change = compileMutations([checker.headers], formatToolsOf(clock));
    this.#body = checker.send === undefined ? EMPTY_BODY : bytesBody(fromHex(checker.send));
    this.#receive = checker.receive.map(fromHex);
    this.#isService = checker.serviceName && compileString(checker.serviceName);
  }

  run(abort: Abort): Promise<ProbeResult> {
    return this.#client.ask(this.#request(abort), (response) => this.#judge(response));
  }

  close(): void {
    this.#client.close();
  }

  #request(abort: Abort): Request {
    const { method, path, host } = this.#checker;
    const authority = checkAuthority(this.#target, host);
    const headers = HeaderMap.from([
      ['host', authority],
      ['user-agent', 'Envoy/HC'],
    ]);
    return this.#client.request({ method, authority, path, headers, body: this.#body }, this.#change, abort);
  }

  /** Envoy's order: the body, the status, the name of the service. */
  async #judge(response: Response): Promise<ProbeResult> {
    const { status, headers } = response;
    const { expectedStatuses, retriableStatuses } = this.#checker;
    if (this.#receive.length > 0 && !containsInOrder(await this.#read(response), this.#receive)) {
      return this.#failed(response, false, 'the body is not what was expected');
    }
    await finished(response);
    if (!isWithin(status, expectedStatuses)) {
      return this.#failed(response, isWithin(status, retriableStatuses), `the status is ${status}`);
    }
    const service = headers.get('x-envoy-upstream-healthchecked-cluster') ?? '';
    if (this.#isService?.(service) === false) {
      const message = `the service calls itself ${JSON.stringify(service)}`;
      return { kind: 'failed', failure: 'ACTIVE', isRetriable: false, excludes: false, message };
    }
    return { kind: 'passed', degraded: headers.has('x-envoy-degraded') };
  }

  #failed({ headers }: Response, isRetriable: boolean, message: string): ProbeResult {
    const excludes = headers.has('x-envoy-immediate-health-check-fail');
    return { kind: 'failed', failure: 'ACTIVE', isRetriable, excludes, message };
  }

  /** Envoy looks at the beginning of the body, but waits for its end. */
  async #read({ body }: Response): Promise<Buffer> {
    const limit = this.#checker.responseBufferBytes;
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of iterateBody(body)) {
      if (limit !== 0 && size >= limit) continue;
      chunks.push(chunk);
      size += chunk.byteLength;
    }
    const bytes = Buffer.concat(chunks);
    return limit === 0 ? bytes : bytes.subarray(0, limit);
  }
}

function isWithin(status: number, ranges: readonly StatusRange[]): boolean {
  return ranges.some(({ start, end }) => status >= start && status < end);
}
