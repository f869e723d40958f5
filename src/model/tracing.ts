import type { GrpcService } from './grpc-service.js';
import type { HeaderAddition } from './header-mutation.js';
import type { HttpUri } from './http-uri.js';
import type { FractionalPercent } from './percent.js';
import type { MetadataPath } from './rate-limit.js';

/** Which requests are traced, when nobody has decided that before. */
export interface TraceSampling {
  /** Of those that carry `x-client-trace-id`. Default all. */
  readonly client: FractionalPercent;
  /** Of all others. Default all. */
  readonly random: FractionalPercent;
  /** Of those that either of them chose. Default all. */
  readonly overall: FractionalPercent;
}

/** What spans say besides the usual. */
interface SpanNames {
  readonly customTags: readonly CustomTag[];
  /** Name of the span of a request, a format string; undefined = the usual one. */
  readonly operation?: string | undefined;
  /** The same for the spans of attempts. */
  readonly upstreamOperation?: string | undefined;
}

/** Envoy HttpConnectionManager.Tracing: how the requests of a listener are traced. */
export interface HttpTracing extends SpanNames {
  readonly sampling: TraceSampling;
  /** Longest path within a URL, in characters. Default 256. */
  readonly maxPathTagLength: number;
  /** Whether each attempt has a span of its own. Default false. */
  readonly spawnUpstreamSpan: boolean;
  /** Whether spans are made whose context is not handed on. Default false. */
  readonly noContextPropagation: boolean;
  /** Undefined = what the process has. */
  readonly provider: TracingProvider | undefined;
}

/** Envoy Tracing of a route: goes before its listener's. */
export interface RouteTracing extends SpanNames {
  readonly sampling: TraceSampling;
}

/** Envoy Decorator: how spans of a route are named. */
export interface RouteDecorator {
  readonly operation: string;
  /** Whether the other side is told. Default true. */
  readonly propagate: boolean;
}

/** Envoy CustomTag. */
export interface CustomTag {
  readonly tag: string;
  readonly source: TagSource;
}

/** Where the value of a tag comes from; without one, the default, and an empty default is none: there is no tag then. */
export type TagSource =
  | { readonly kind: 'literal'; readonly value: string }
  | { readonly kind: 'environment'; readonly name: string; readonly defaultValue: string }
  | { readonly kind: 'header'; readonly name: string; readonly defaultValue: string }
  | { readonly kind: 'format'; readonly format: string }
  | {
      readonly kind: 'metadata';
      readonly of: 'request' | 'route' | 'cluster' | 'host';
      readonly path: MetadataPath;
      readonly defaultValue: string;
    };

/**
 * Whose headers carry the context, and where proxies report spans to. A process reports them by the OpenTelemetry SDK of its
 * application.
 */
export type TracingProvider =
  | {
      readonly kind: 'opentelemetry';
      /** Undefined = nothing is reported. */
      readonly exporter: SpanExporter | undefined;
      readonly serviceName: string;
      /** What proxies find out about where they run. */
      readonly resourceDetectors: readonly ('environment' | 'dynatrace')[];
    }
  | {
      readonly kind: 'zipkin';
      readonly exporter: Extract<SpanExporter, { readonly kind: 'http' }>;
      /** Length of trace ids. */
      readonly has128BitIds: boolean;
      /** Whether both sides of a call share one span. */
      readonly sharesSpans: boolean;
      /** Also reads and writes the headers of W3C. */
      readonly withW3c: boolean;
    };

/** Where spans go. */
export type SpanExporter =
  | { readonly kind: 'grpc'; readonly service: GrpcService }
  | { readonly kind: 'http'; readonly uri: HttpUri; readonly headers: readonly HeaderAddition[] };

/** Envoy UuidRequestIdConfig. */
export interface RequestIdRules {
  /** Whether the decision to trace is written into `x-request-id`. Default true. */
  readonly packsTraceReason: boolean;
  /** Whether it is read from there, and draws go by the id. Default true; false traces every request. */
  readonly decidesTracing: boolean;
}

export const DEFAULT_REQUEST_ID_RULES: RequestIdRules = { packsTraceReason: true, decidesTracing: true };
