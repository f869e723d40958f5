import type { AccessLogFilter, ComparisonOperator } from '../model/access-log.js';
import { isSampled } from '../model/percent.js';
import { compileHeaderMatcher } from '../routing/match.js';
import { compileValue, valueAt } from '../routing/value-match.js';
import type { Random } from '../runtime/random.js';
import { grpcStatusOfExchange } from '../service/format/grpc-status.js';
import type { FormatInput } from '../service/format/input.js';

/** Decides whether an exchange is logged. */
export type LogPredicate = (input: FormatInput) => boolean;

/** Compiles an access log filter. */
export function compileLogFilter(filter: AccessLogFilter, random: Random): LogPredicate {
  switch (filter.kind) {
    case 'status-code': {
      const test = compare(filter.operator, filter.value);
      return ({ response }) => test(response?.status ?? 0);
    }
    case 'duration': {
      const test = compare(filter.operator, filter.value);
      return ({ exchange, endMs }) => endMs !== undefined && test(Math.floor(endMs - exchange.startMs));
    }
    case 'not-health-check':
      return ({ exchange }) => exchange.values?.get('envoy.health_check') !== true;
    case 'traceable':
      return ({ request }) => isTraceable(request?.headers.get('x-request-id'));
    case 'runtime': {
      const { fraction, independent } = filter;
      return ({ request }) => {
        const id = independent ? undefined : idValue(request?.headers.get('x-request-id'));
        return id === undefined
          ? isSampled(fraction, random())
          : id % fraction.denominator < fraction.numerator;
      };
    }
    case 'and': {
      const all = filter.filters.map((one) => compileLogFilter(one, random));
      return (input) => all.every((test) => test(input));
    }
    case 'or': {
      const any = filter.filters.map((one) => compileLogFilter(one, random));
      return (input) => any.some((test) => test(input));
    }
    case 'header': {
      const test = compileHeaderMatcher(filter.matcher);
      return ({ request }) => request !== undefined && test(request);
    }
    case 'response-flag': {
      const wanted = new Set(filter.flags);
      return ({ exchange: { flags } }) =>
        wanted.size === 0 ? flags.length > 0 : flags.some((flag) => wanted.has(flag));
    }
    case 'grpc-status': {
      const wanted = new Set(filter.statuses);
      // Envoy: without any status it counts as OK for HTTP 200 and is mapped otherwise.
      return (input) => wanted.has(grpcStatusOrOk(input)) !== filter.exclude;
    }
    case 'metadata':
      return metadataTest(filter);
    case 'log-type': {
      const wanted = new Set(filter.types);
      return ({ logType = 'NotSet' }) => wanted.has(logType) !== filter.exclude;
    }
  }
}

function compare(operator: ComparisonOperator, value: number): (actual: number) => boolean {
  switch (operator) {
    case 'eq':
      return (actual) => actual === value;
    case 'ge':
      return (actual) => actual >= value;
    case 'le':
      return (actual) => actual <= value;
  }
}

function grpcStatusOrOk(input: FormatInput): number {
  const said = input.trailers?.get('grpc-status') ?? input.response?.headers.get('grpc-status');
  if (said === undefined && input.response?.status === 200) return 0;
  return grpcStatusOfExchange(input) ?? 2;
}

/** Envoy: the first eight hex digits of the request id. */
function idValue(id: string | undefined): number | undefined {
  return id !== undefined && /^[0-9a-f]{8}/i.test(id) ? Number.parseInt(id.slice(0, 8), 16) : undefined;
}

/** Envoy: the request id's 15th character says that the request is traced. */
function isTraceable(id: string | undefined): boolean {
  return id !== undefined && id.length === 36 && 'ab9'.includes(id[14] ?? '-');
}

type MetadataFilter = Extract<AccessLogFilter, { kind: 'metadata' }>;

function metadataTest({ namespace, path, match, matchIfNotFound }: MetadataFilter): LogPredicate {
  const test = compileValue(match);
  return ({ exchange }) => {
    const value = valueAt(exchange.dynamicMetadata?.get(namespace), path);
    return value === undefined ? matchIfNotFound : test(value);
  };
}
