import { create } from '@bufbuild/protobuf';
import type { FractionalPercent } from '../model/percent.js';
import { ALWAYS } from '../model/percent.js';
import type {
  HttpTracing,
  RequestIdRules,
  RouteDecorator,
  RouteTracing,
  TraceSampling,
} from '../model/tracing.js';
import { packAny } from '../proto/any.js';
import { httpConnectionManager as hcm, route, type type, requestIdUuid as uuid } from '../proto/xds.js';
import { decodeAny } from './codec.js';
import { decodeCustomTags, encodeCustomTags } from './custom-tag.js';
import { onlyFields } from './field-guard.js';
import { decodeFormat } from './header-mutation.js';
import { at, type Path, refuse, required } from './path.js';
import { decodeFraction, decodePercent, encodeFraction, encodePercent } from './percent.js';
import { decodeProvider, encodeProvider } from './tracing-provider.js';

const tracingFields = onlyFields(() => hcm.HttpConnectionManager_TracingSchema, {
  enforced: [
    'client_sampling',
    'random_sampling',
    'overall_sampling',
    'max_path_tag_length',
    'custom_tags',
    'provider',
    'spawn_upstream_span',
    'operation',
    'upstream_operation',
    'no_context_propagation',
  ],
});

const routeFields = onlyFields(() => route.TracingSchema, {
  enforced: [
    'client_sampling',
    'random_sampling',
    'overall_sampling',
    'custom_tags',
    'operation',
    'upstream_operation',
  ],
});

const decoratorFields = onlyFields(() => route.DecoratorSchema, { enforced: ['operation', 'propagate'] });

const uuidFields = onlyFields(() => uuid.UuidRequestIdConfigSchema, {
  enforced: ['pack_trace_reason', 'use_request_id_for_trace_sampling'],
});

const DEFAULT_PATH_LENGTH = 256;

/** How a listener's requests are traced; undefined = they are not. */
export function decodeTracing(
  message: hcm.HttpConnectionManager_Tracing | undefined,
  path: Path,
): HttpTracing | undefined {
  if (message === undefined) return undefined;
  tracingFields(message, path);
  return {
    sampling: {
      // Envoy: whole percents of these, hundredths of those.
      client: whole(decodePercent(message.clientSampling, 100, at(path, 'client_sampling'))),
      random: fine(decodePercent(message.randomSampling, 100, at(path, 'random_sampling'))),
      overall: fine(decodePercent(message.overallSampling, 100, at(path, 'overall_sampling'))),
    },
    maxPathTagLength: message.maxPathTagLength ?? DEFAULT_PATH_LENGTH,
    customTags: decodeCustomTags(message.customTags, path),
    ...decodeNames(message, path),
    spawnUpstreamSpan: message.spawnUpstreamSpan ?? false,
    noContextPropagation: message.noContextPropagation,
    provider: decodeProvider(message.provider, at(path, 'provider')),
  };
}

function whole(percent: number): FractionalPercent {
  return { numerator: Math.trunc(percent), denominator: 100 };
}

function fine(percent: number): FractionalPercent {
  return { numerator: Math.round(percent * 100), denominator: 10_000 };
}

function decodeNames(
  { operation, upstreamOperation }: { readonly operation: string; readonly upstreamOperation: string },
  path: Path,
): Pick<RouteTracing, 'operation' | 'upstreamOperation'> {
  return {
    ...(operation !== '' && { operation: decodeFormat(operation, at(path, 'operation')) }),
    ...(upstreamOperation !== '' && {
      upstreamOperation: decodeFormat(upstreamOperation, at(path, 'upstream_operation')),
    }),
  };
}

/** How a listener's requests are traced, as a message. */
export function encodeTracing(tracing: HttpTracing): hcm.HttpConnectionManager_Tracing {
  const { sampling, provider } = tracing;
  const percent = ({ numerator, denominator }: FractionalPercent) =>
    encodePercent((numerator * 100) / denominator);
  const message = create(hcm.HttpConnectionManager_TracingSchema, {
    clientSampling: percent(sampling.client),
    randomSampling: percent(sampling.random),
    overallSampling: percent(sampling.overall),
    customTags: encodeCustomTags(tracing.customTags),
    operation: tracing.operation ?? '',
    upstreamOperation: tracing.upstreamOperation ?? '',
    noContextPropagation: tracing.noContextPropagation,
  });
  if (tracing.maxPathTagLength !== DEFAULT_PATH_LENGTH) message.maxPathTagLength = tracing.maxPathTagLength;
  if (tracing.spawnUpstreamSpan) message.spawnUpstreamSpan = true;
  if (provider !== undefined) message.provider = encodeProvider(provider);
  return message;
}

/** How the requests of a route are traced. */
export function decodeRouteTracing(message: route.Tracing | undefined, path: Path): RouteTracing | undefined {
  if (message === undefined) return undefined;
  routeFields(message, path);
  const sampling = (percent: type.FractionalPercent | undefined, field: string) =>
    // Envoy: what is absent is all, other than elsewhere.
    percent === undefined ? ALWAYS : decodeFraction(percent, at(path, field));
  return {
    sampling: {
      client: sampling(message.clientSampling, 'client_sampling'),
      random: sampling(message.randomSampling, 'random_sampling'),
      overall: sampling(message.overallSampling, 'overall_sampling'),
    },
    customTags: decodeCustomTags(message.customTags, path),
    ...decodeNames(message, path),
  };
}

/** The same as a message. */
export function encodeRouteTracing(tracing: RouteTracing): route.Tracing {
  const { client, random, overall }: TraceSampling = tracing.sampling;
  return create(route.TracingSchema, {
    clientSampling: encodeFraction(client),
    randomSampling: encodeFraction(random),
    overallSampling: encodeFraction(overall),
    customTags: encodeCustomTags(tracing.customTags),
    operation: tracing.operation ?? '',
    upstreamOperation: tracing.upstreamOperation ?? '',
  });
}

/** How spans of a route are named. */
export function decodeDecorator(
  message: route.Decorator | undefined,
  path: Path,
): RouteDecorator | undefined {
  if (message === undefined) return undefined;
  decoratorFields(message, path);
  const { operation, propagate = true } = message;
  if (operation === '') refuse(at(path, 'operation'), 'must not be empty');
  if (/[\0\r\n]/.test(operation)) refuse(at(path, 'operation'), 'contains a control character');
  return { operation, propagate };
}

/** The same as a message. */
export function encodeDecorator({ operation, propagate }: RouteDecorator): route.Decorator {
  const message = create(route.DecoratorSchema, { operation });
  if (!propagate) message.propagate = false;
  return message;
}

/** What is done with `x-request-id`; other extensions than the one for UUIDs are refused. */
export function decodeRequestIds(
  message: hcm.RequestIDExtension | undefined,
  path: Path,
): RequestIdRules | undefined {
  if (message === undefined) return undefined;
  const where = at(path, 'typed_config');
  const any = required(message.typedConfig, where);
  const config = decodeAny(uuid.UuidRequestIdConfigSchema, any, where);
  if (config === undefined)
    return refuse(where, `the extension ${JSON.stringify(any.typeUrl)} is not supported`);
  uuidFields(config, where);
  return {
    packsTraceReason: config.packTraceReason ?? true,
    decidesTracing: config.useRequestIdForTraceSampling ?? true,
  };
}

/** The same as a message. */
export function encodeRequestIds(rules: RequestIdRules): hcm.RequestIDExtension {
  const config = create(uuid.UuidRequestIdConfigSchema, {
    useRequestIdForTraceSampling: rules.decidesTracing,
  });
  if (!rules.packsTraceReason) config.packTraceReason = false;
  return create(hcm.RequestIDExtensionSchema, {
    typedConfig: packAny(uuid.UuidRequestIdConfigSchema, config),
  });
}
