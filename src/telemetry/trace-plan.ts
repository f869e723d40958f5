import type { HttpConnectionManager } from '../model/listener.js';
import type { Route } from '../model/route.js';
import type { CustomTag, HttpTracing, RouteDecorator, TagSource } from '../model/tracing.js';
import { DEFAULT_REQUEST_ID_RULES } from '../model/tracing.js';
import { dig } from '../service/dig.js';
import { compileFormat } from '../service/format/format.js';
import type { FormatInput, FormatTools } from '../service/format/input.js';
import type { DecisionRules } from './trace-decision.js';

/** How the requests of a route are traced, made ready. */
export interface TracePlan extends DecisionRules {
  /** Gives the name of the span; undefined = the usual one, or the decorator's. */
  readonly operation: ((input: FormatInput) => string) | undefined;
  readonly upstreamOperation: ((input: FormatInput) => string) | undefined;
  readonly decorator: RouteDecorator | undefined;
  readonly tags: readonly SpanTag[];
  readonly maxPathTagLength: number;
  /** Whether the context goes on with the request. */
  readonly propagates: boolean;
  /** The headers that carry it: those of the process's propagator, Zipkin's, or Zipkin's and W3C's. */
  readonly headers: 'own' | 'b3' | 'b3-and-w3c';
  readonly spawnsUpstreamSpans: boolean;
}

/** A tag and what its value is; undefined when it has none, and then there is no tag. */
export interface SpanTag {
  readonly name: string;
  readonly read: (input: FormatInput) => string | undefined;
}

/** The plan of a listener, or of one of its routes; undefined when its requests are not traced. */
export function tracePlan(
  http: HttpConnectionManager,
  route: Pick<Route, 'tracing' | 'decorator'> | undefined,
  tools: FormatTools,
): TracePlan | undefined {
  const { tracing, requestIds = DEFAULT_REQUEST_ID_RULES, processing } = http;
  if (tracing === undefined) return undefined;
  const own = route?.tracing;
  const format = (text: string | undefined) => {
    if (text === undefined) return undefined;
    const compiled = compileFormat(text, tools, '');
    return (input: FormatInput) => compiled.text(input);
  };
  return {
    // Envoy: a route that says anything about tracing says all of the sampling.
    sampling: own?.sampling ?? tracing.sampling,
    requestIds,
    // What `generate_request_id` says was done before.
    makesIds: processing === undefined,
    operation: format(own?.operation ?? tracing.operation),
    upstreamOperation: format(own?.upstreamOperation ?? tracing.upstreamOperation),
    decorator: route?.decorator,
    tags: compileTags([...tracing.customTags, ...(own?.customTags ?? [])], tools),
    maxPathTagLength: tracing.maxPathTagLength,
    propagates: !tracing.noContextPropagation,
    headers: headersOf(tracing),
    spawnsUpstreamSpans: tracing.spawnUpstreamSpan,
  };
}

function headersOf({ provider }: HttpTracing): TracePlan['headers'] {
  if (provider?.kind !== 'zipkin') return 'own';
  return provider.withW3c ? 'b3-and-w3c' : 'b3';
}

/** Of tags with the same name the last counts. */
function compileTags(tags: readonly CustomTag[], tools: FormatTools): readonly SpanTag[] {
  const byName = new Map(tags.map(({ tag, source }) => [tag, source]));
  return [...byName].map(([name, source]) => ({ name, read: compileSource(source, tools) }));
}

function compileSource(source: TagSource, tools: FormatTools): SpanTag['read'] {
  switch (source.kind) {
    case 'literal': {
      const { value } = source;
      return () => value;
    }
    case 'environment': {
      const value = tools.env[source.name] ?? (source.defaultValue || undefined);
      return () => value;
    }
    case 'header': {
      const { name, defaultValue } = source;
      return ({ request }) => request?.headers.get(name) ?? (defaultValue || undefined);
    }
    case 'format': {
      const format = compileFormat(source.format, tools, '');
      return (input) => format.text(input) || undefined;
    }
    default: {
      const { of, path, defaultValue } = source;
      const { namespace, keys } = path;
      return (input) => jsonText(dig(metadataOf(input, of, namespace), keys)) ?? (defaultValue || undefined);
    }
  }
}

function metadataOf(
  { exchange }: FormatInput,
  of: Extract<TagSource, { kind: 'metadata' }>['of'],
  namespace: string,
): unknown {
  switch (of) {
    case 'request':
      return exchange.dynamicMetadata?.get(namespace);
    case 'route':
      return exchange.routeMetadata?.[namespace];
    case 'cluster':
      return exchange.upstream?.clusterMetadata?.[namespace];
    default:
      return exchange.upstream?.metadata?.[namespace];
  }
}

/** Envoy: texts as they are, everything else as JSON. */
function jsonText(value: unknown): string | undefined {
  return value === undefined || typeof value === 'string' ? value : JSON.stringify(value);
}
