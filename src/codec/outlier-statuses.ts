import { create } from '@bufbuild/protobuf';
import type { Cluster } from '../model/cluster.js';
import type { HeaderMatcher } from '../model/matcher.js';
import { commonMatcher, upstreamHttp } from '../proto/xds.js';
import { onlyFields } from './field-guard.js';
import { decodeHeaderMatcher, encodeHeaderMatcher } from './matcher.js';
import { at, type Path, refuse } from './path.js';

const detectionFields = onlyFields(() => upstreamHttp.HttpProtocolOptions_OutlierDetectionSchema, {
  enforced: ['error_matcher'],
});

type Detection = upstreamHttp.HttpProtocolOptions_OutlierDetection;

/** The statuses that outlier detection counts as errors. Of what a matcher could ask, only statuses one by one are read. */
export function decodeOutlierStatuses(
  message: Detection | undefined,
  path: Path,
): Pick<Cluster, 'outlierStatuses'> {
  if (message === undefined) return {};
  detectionFields(message, path);
  const { errorMatcher } = message;
  if (errorMatcher === undefined) return {};
  return { outlierStatuses: [...new Set(statusesOf(errorMatcher, at(path, 'error_matcher')))] };
}

function statusesOf({ rule }: commonMatcher.MatchPredicate, path: Path): readonly number[] {
  switch (rule.case) {
    case 'orMatch':
      return rule.value.rules.flatMap((one, index) =>
        statusesOf(one, at(at(path, 'or_match'), 'rules', index)),
      );
    case 'httpResponseHeadersMatch': {
      const where = at(at(path, 'http_response_headers_match'), 'headers');
      const [header, ...more] = rule.value.headers;
      if (header === undefined || more.length > 0) return refuse(where, 'must be one for :status');
      return [statusOf(decodeHeaderMatcher(header, where), where)];
    }
    default:
      return refuse(path, 'may only be made of or_match and http_response_headers_match');
  }
}

function statusOf({ name, match, invert }: HeaderMatcher, path: Path): number {
  const isPlain = name === ':status' && !invert && match.kind === 'string' && match.matcher.kind === 'exact';
  if (isPlain && /^[1-5]\d\d$/.test(match.matcher.value)) return Number(match.matcher.value);
  return refuse(path, 'may only compare :status with a status of HTTP');
}

/** The statuses as a matcher. */
export function encodeOutlierStatuses(statuses: readonly number[]): Detection {
  const rules = statuses.map((status) =>
    create(commonMatcher.MatchPredicateSchema, {
      rule: {
        case: 'httpResponseHeadersMatch',
        value: create(commonMatcher.HttpHeadersMatchSchema, {
          headers: [encodeHeaderMatcher(isStatus(status))],
        }),
      },
    }),
  );
  const [only, ...more] = rules;
  const errorMatcher =
    only !== undefined && more.length === 0
      ? only
      : create(commonMatcher.MatchPredicateSchema, {
          rule: { case: 'orMatch', value: create(commonMatcher.MatchPredicate_MatchSetSchema, { rules }) },
        });
  return create(upstreamHttp.HttpProtocolOptions_OutlierDetectionSchema, { errorMatcher });
}

function isStatus(status: number): HeaderMatcher {
  return {
    name: ':status',
    match: { kind: 'string', matcher: { kind: 'exact', value: String(status), ignoreCase: false } },
    invert: false,
    treatMissingAsEmpty: false,
  };
}
