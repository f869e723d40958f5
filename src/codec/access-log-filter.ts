import { create } from '@bufbuild/protobuf';
import type { AccessLogFilter, Comparison, ComparisonOperator } from '../model/access-log.js';
import { accessLog, accessLogData, core } from '../proto/xds.js';
import { isResponseFlag } from '../service/format/response-flags.js';
import { onlyFields } from './field-guard.js';
import { decodeHeaderMatcher, encodeHeaderMatcher } from './matcher.js';
import { at, type Path, refuse, required } from './path.js';
import { decodeFraction, encodeFraction } from './percent.js';
import { keysOf, wireKey } from './runtime-keys.js';
import { decodeValueMatcher, encodeValueMatcher } from './value-matcher.js';

const comparisonFields = onlyFields(() => accessLog.ComparisonFilterSchema, { enforced: ['op', 'value'] });
const numberFields = onlyFields(() => core.RuntimeUInt32Schema, {
  enforced: ['default_value', 'runtime_key'],
});
/** The filter of an access log. */
export function decodeLogFilter(message: accessLog.AccessLogFilter, path: Path): AccessLogFilter {
  const { filterSpecifier: specifier } = message;
  switch (specifier.case) {
    case 'statusCodeFilter':
      return {
        kind: 'status-code',
        ...comparison(specifier.value.comparison, at(path, 'status_code_filter')),
      };
    case 'durationFilter':
      return { kind: 'duration', ...comparison(specifier.value.comparison, at(path, 'duration_filter')) };
    case 'notHealthCheckFilter':
      return { kind: 'not-health-check' };
    case 'traceableFilter':
      return { kind: 'traceable' };
    case 'runtimeFilter': {
      const fraction = decodeFraction(specifier.value.percentSampled, at(path, 'runtime_filter'));
      return { kind: 'runtime', fraction, independent: specifier.value.useIndependentRandomness };
    }
    case 'andFilter':
    case 'orFilter':
      return decodeList(specifier.case, specifier.value.filters, path);
    case 'headerFilter': {
      const where = at(at(path, 'header_filter'), 'header');
      return { kind: 'header', matcher: decodeHeaderMatcher(required(specifier.value.header, where), where) };
    }
    case 'responseFlagFilter':
      return decodeFlags(specifier.value.flags, at(path, 'response_flag_filter'));
    case 'grpcStatusFilter':
      return { kind: 'grpc-status', statuses: specifier.value.statuses, exclude: specifier.value.exclude };
    case 'metadataFilter':
      return decodeMetadataFilter(specifier.value, at(path, 'metadata_filter'));
    case 'logTypeFilter':
      return {
        kind: 'log-type',
        types: specifier.value.types.map((type) => accessLogData.AccessLogType[type] ?? ''),
        exclude: specifier.value.exclude,
      };
    case 'extensionFilter':
      return refuse(at(path, 'extension_filter'), 'is not supported');
    default:
      return refuse(path, 'needs a filter');
  }
}

function comparison(message: accessLog.ComparisonFilter | undefined, path: Path): Comparison {
  const where = at(path, 'comparison');
  const filter = required(message, where);
  comparisonFields(filter, where);
  const value = required(filter.value, at(where, 'value'));
  numberFields(value, at(where, 'value'));
  const { EQ, GE, LE } = accessLog.ComparisonFilter_Op;
  const operators = new Map<number, ComparisonOperator>([
    [EQ, 'eq'],
    [GE, 'ge'],
    [LE, 'le'],
  ]);
  const operator = operators.get(filter.op) ?? refuse(at(where, 'op'), `has no value ${String(filter.op)}`);
  return { operator, value: value.defaultValue, ...keysOf({ value }) };
}

function decodeList(
  kind: 'andFilter' | 'orFilter',
  messages: readonly accessLog.AccessLogFilter[],
  path: Path,
): AccessLogFilter {
  const where = at(path, kind === 'andFilter' ? 'and_filter' : 'or_filter');
  if (messages.length < 2) refuse(at(where, 'filters'), 'must be at least two');
  const filters = messages.map((one, index) => decodeLogFilter(one, at(where, 'filters', index)));
  return { kind: kind === 'andFilter' ? 'and' : 'or', filters };
}

function decodeFlags(flags: readonly string[], path: Path): AccessLogFilter {
  flags.forEach((flag, index) => {
    if (!isResponseFlag(flag))
      refuse(at(path, 'flags', index), `${JSON.stringify(flag)} is no response flag`);
  });
  return { kind: 'response-flag', flags };
}

function decodeMetadataFilter(message: accessLog.MetadataFilter, path: Path): AccessLogFilter {
  const where = at(path, 'matcher');
  const { filter, path: segments, value, invert } = required(message.matcher, where);
  if (invert) refuse(at(where, 'invert'), 'is not supported');
  return {
    kind: 'metadata',
    namespace: filter,
    path: segments.map(({ segment }, index) =>
      segment.case === 'key' ? segment.value : refuse(at(where, 'path', index), 'needs a key'),
    ),
    match: decodeValueMatcher(required(value, at(where, 'value')), at(where, 'value')),
    matchIfNotFound: message.matchIfKeyNotFound ?? true,
  };
}

/** The filter as a message. */
export function encodeLogFilter(filter: AccessLogFilter): accessLog.AccessLogFilter {
  return create(accessLog.AccessLogFilterSchema, { filterSpecifier: encodeSpecifier(filter) });
}

function encodeSpecifier(filter: AccessLogFilter): accessLog.AccessLogFilter['filterSpecifier'] {
  switch (filter.kind) {
    case 'status-code': {
      const value = create(accessLog.StatusCodeFilterSchema, { comparison: encodeComparison(filter) });
      return { case: 'statusCodeFilter', value };
    }
    case 'duration': {
      const value = create(accessLog.DurationFilterSchema, { comparison: encodeComparison(filter) });
      return { case: 'durationFilter', value };
    }
    case 'not-health-check':
      return { case: 'notHealthCheckFilter', value: create(accessLog.NotHealthCheckFilterSchema) };
    case 'traceable':
      return { case: 'traceableFilter', value: create(accessLog.TraceableFilterSchema) };
    case 'runtime': {
      const value = create(accessLog.RuntimeFilterSchema, {
        // Envoy demands one.
        runtimeKey: 'access_log',
        percentSampled: encodeFraction(filter.fraction),
        useIndependentRandomness: filter.independent,
      });
      return { case: 'runtimeFilter', value };
    }
    case 'and': {
      const filters = filter.filters.map(encodeLogFilter);
      return { case: 'andFilter', value: create(accessLog.AndFilterSchema, { filters }) };
    }
    case 'or': {
      const filters = filter.filters.map(encodeLogFilter);
      return { case: 'orFilter', value: create(accessLog.OrFilterSchema, { filters }) };
    }
    default:
      return encodeMatchSpecifier(filter);
  }
}

type MatchFilter = Extract<
  AccessLogFilter,
  { kind: 'header' | 'response-flag' | 'grpc-status' | 'metadata' | 'log-type' }
>;

function encodeMatchSpecifier(filter: MatchFilter): accessLog.AccessLogFilter['filterSpecifier'] {
  switch (filter.kind) {
    case 'header': {
      const header = encodeHeaderMatcher(filter.matcher);
      return { case: 'headerFilter', value: create(accessLog.HeaderFilterSchema, { header }) };
    }
    case 'response-flag': {
      const flags = [...filter.flags];
      return { case: 'responseFlagFilter', value: create(accessLog.ResponseFlagFilterSchema, { flags }) };
    }
    case 'grpc-status': {
      const { exclude } = filter;
      const statuses = [...filter.statuses];
      const value = create(accessLog.GrpcStatusFilterSchema, { statuses, exclude });
      return { case: 'grpcStatusFilter', value };
    }
    case 'log-type': {
      const names = Object.entries(accessLogData.AccessLogType);
      const types = filter.types.flatMap((type) =>
        names.flatMap(([name, value]) => (name === type && typeof value === 'number' ? [value] : [])),
      );
      const value = create(accessLog.LogTypeFilterSchema, { types, exclude: filter.exclude });
      return { case: 'logTypeFilter', value };
    }
    case 'metadata': {
      const value = create(accessLog.MetadataFilterSchema, {
        matcher: {
          filter: filter.namespace,
          path: filter.path.map((key) => ({ segment: { case: 'key' as const, value: key } })),
          value: encodeValueMatcher(filter.match),
        },
        matchIfKeyNotFound: filter.matchIfNotFound,
      });
      return { case: 'metadataFilter', value };
    }
  }
}

function encodeComparison({ operator, value, runtimeKeys }: Comparison) {
  const { EQ, GE, LE } = accessLog.ComparisonFilter_Op;
  const op = operator === 'ge' ? GE : operator === 'le' ? LE : EQ;
  return create(accessLog.ComparisonFilterSchema, {
    op,
    value: { defaultValue: value, runtimeKey: wireKey(runtimeKeys, 'value') },
  });
}
