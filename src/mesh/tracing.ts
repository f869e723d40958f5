import type { HttpConnectionManager } from '../model/listener.js';
import type { Route } from '../model/route.js';
import type { Clock } from '../runtime/clock.js';
import type { Random } from '../runtime/random.js';
import { version } from '../runtime/version.js';
import { formatToolsOf } from '../service/format/tools.js';
import type { Observer } from '../service/observer.js';
import type { Filter, Request } from '../service/service.js';
import type { WorkloadInfo } from '../service/workload.js';
import type { SpanOrigin } from '../telemetry/envoy-tags.js';
import { loadSpans, type Spans } from '../telemetry/spans.js';
import { tracePlan } from '../telemetry/trace-plan.js';
import type { InboundScope, SpanScope } from './inbound-scope.js';

/** A listener and the route that is known by then. */
export interface TracedPlace {
  readonly http: HttpConnectionManager;
  readonly route: Pick<Route, 'tracing' | 'decorator'> | undefined;
}

/** Makes the filters that trace requests. */
export interface Tracing {
  /** Of requests that this process sends; undefined = they are not traced. */
  readonly outbound: (place: TracedPlace) => Filter | undefined;
  /** Of requests that it serves: only where the control plane asks for it; `scope` begins all other spans. */
  readonly inbound: (place: TracedPlace) => Filter | undefined;
  /** Runs applications within their spans. */
  readonly scope: SpanScope | undefined;
  readonly observer: Observer | undefined;
}

/** What tracing is made with. */
export interface TracingTools {
  readonly clock: Clock;
  readonly random: Random;
  readonly origin: SpanOrigin;
  /** Who this process is. */
  readonly workload: WorkloadInfo;
}

/** For a process that wants none. */
export const NO_TRACING: Tracing = {
  outbound: () => undefined,
  inbound: () => undefined,
  scope: undefined,
  observer: undefined,
};

/**
 * Tracing as the process wants it: `true` = all requests, as far as the control plane does not say otherwise; undefined = those
 * that it says; `false` = none. OpenTelemetry's API is loaded at once, or when the first request is to be traced.
 */
export async function createTracing(wanted: boolean | undefined, tools: TracingTools): Promise<Tracing> {
  if (wanted === false) return NO_TRACING;
  const loader = new Loader(tools);
  if (wanted === true) await loader.load();
  const names = formatToolsOf(tools.clock);
  const formatTools = { ...names, env: { ...names.env, ...ownNames(tools.workload) } };
  const plan = ({ http, route }: TracedPlace) => tracePlan(http, route, formatTools);
  const scope: InboundScope = (request, task) => {
    const { spans } = loader;
    if (spans === undefined) task();
    else spans.scope(request, task);
  };
  return {
    outbound(place) {
      const own = plan(place);
      if (own !== undefined) return loader.filter((spans) => spans.client(own));
      return wanted === true ? loader.filter((spans) => spans.client()) : undefined;
    },
    inbound(place) {
      const own = plan(place);
      return own && loader.filter((spans) => spans.server(own));
    },
    scope: Object.assign(scope, {
      covers: wanted === true ? () => true : ({ context }: Request) => context.trace !== undefined,
    }),
    observer: {
      exchange(request, end) {
        if (request.context.trace !== undefined) loader.spans?.observer.exchange?.(request, end);
      },
    },
  };
}

/** What tags ask for as if it stood in the environment: the control plane sends the same to many, and each knows who it is. */
function ownNames({ canonicalService, canonicalRevision, namespace, cluster }: WorkloadInfo) {
  return {
    INMESH_CANONICAL_SERVICE: canonicalService || undefined,
    INMESH_CANONICAL_REVISION: canonicalRevision || undefined,
    INMESH_NAMESPACE: namespace || undefined,
    INMESH_CLUSTER_ID: cluster || undefined,
  };
}

/** Loads what makes spans, once. */
class Loader {
  readonly #tools: TracingTools;
  #loading: Promise<Spans> | undefined;
  spans: Spans | undefined;

  constructor(tools: TracingTools) {
    this.#tools = tools;
  }

  load(): Promise<Spans> {
    const { random, origin } = this.#tools;
    this.#loading ??= loadSpans({ version, origin, random }).then((spans) => {
      this.spans = spans;
      return spans;
    });
    return this.#loading;
  }

  /** The filter; the first requests wait until it can be made. */
  filter(make: (spans: Spans) => Filter): Filter {
    if (this.spans !== undefined) return make(this.spans);
    let made: Filter | undefined;
    const ready = () => {
      const { spans } = this;
      if (made === undefined && spans !== undefined) made = make(spans);
      return made;
    };
    return async (request, next) => {
      const known = ready();
      if (known !== undefined) return known(request, next);
      const spans = await this.load();
      made ??= make(spans);
      return made(request, next);
    };
  }
}
