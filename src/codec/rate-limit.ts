import { create } from '@bufbuild/protobuf';
import type { RateLimit, RateLimitHits } from '../model/rate-limit.js';
import { route } from '../proto/xds.js';
import { parseFormat } from '../service/format/parse.js';
import { onlyFields } from './field-guard.js';
import { decodeFormat } from './header-mutation.js';
import { decodeMetadataPath, encodeMetadataPath } from './metadata-path.js';
import { at, type Path, refuse } from './path.js';
import { decodeRateLimitAction, encodeRateLimitAction } from './rate-limit-action.js';

const limitFields = onlyFields(() => route.RateLimitSchema, {
  enforced: [
    'stage',
    'disable_key',
    'actions',
    'limit',
    'hits_addend',
    'apply_on_stream_done',
    'x_ratelimit_option',
  ],
});

const MAX_STAGE = 10;
const MAX_HITS = 1_000_000_000;

/** What a filter's own list of limits may not have (Envoy: these are for the lists of routes). */
export interface OwnLimits {
  /** Whether a limit may be overridden from metadata. */
  readonly override: boolean;
}

/** A list of `rate_limits`; undefined when it is empty. `own` is given for the list of a filter. */
export function decodeRateLimits(
  messages: readonly route.RateLimit[],
  path: Path,
  own?: OwnLimits,
): readonly RateLimit[] | undefined {
  if (messages.length === 0) return undefined;
  return messages.map((message, index) => {
    const where = at(path, 'rate_limits', index);
    if (own !== undefined) checkOwn(message, where, own);
    return decodeRateLimit(message, where);
  });
}

function checkOwn(message: route.RateLimit, path: Path, own: OwnLimits): void {
  if (message.stage !== undefined) refuse(at(path, 'stage'), 'is for the rate limits of routes only');
  if (message.disableKey !== '') refuse(at(path, 'disable_key'), 'is for the rate limits of routes only');
  if (message.limit !== undefined && !own.override) refuse(at(path, 'limit'), 'is not supported here');
}

function decodeRateLimit(message: route.RateLimit, path: Path): RateLimit {
  limitFields(message, path);
  const { stage = 0, actions, hitsAddend } = message;
  if (stage > MAX_STAGE) refuse(at(path, 'stage'), `must be at most ${MAX_STAGE}`);
  if (actions.length === 0) refuse(at(path, 'actions'), 'must not be empty');
  return {
    stage,
    disableKey: message.disableKey,
    actions: actions.map((action, index) => decodeRateLimitAction(action, at(path, 'actions', index))),
    limit: decodeLimit(message.limit, at(path, 'limit')),
    hits: hitsAddend && decodeHits(hitsAddend, at(path, 'hits_addend')),
    onStreamDone: message.applyOnStreamDone,
    rateLimitHeaders: decodeHeaders(message.xRatelimitOption, at(path, 'x_ratelimit_option')),
  };
}

function decodeLimit(message: route.RateLimit_Override | undefined, path: Path): RateLimit['limit'] {
  if (message === undefined) return undefined;
  const { overrideSpecifier: specifier } = message;
  if (specifier.case !== 'dynamicMetadata') return refuse(path, 'needs dynamic_metadata');
  return decodeMetadataPath(specifier.value.metadataKey, at(at(path, 'dynamic_metadata'), 'metadata_key'));
}

function decodeHits(message: route.RateLimit_HitsAddend, path: Path): RateLimitHits {
  const { number, format, isNegativeHits: isRefund } = message;
  if ((number === undefined) === (format === '')) refuse(path, 'needs either a number or a format');
  if (number === undefined) return { count: decodeHitsFormat(format, at(path, 'format')), isRefund };
  if (number > BigInt(MAX_HITS)) refuse(at(path, 'number'), `must be at most ${MAX_HITS}`);
  return { count: Number(number), isRefund };
}

/** Envoy: exactly one command. */
function decodeHitsFormat(format: string, path: Path): string {
  decodeFormat(format, path);
  const [part, ...rest] = parseFormat(format);
  if (part?.kind !== 'command' || rest.length > 0) refuse(path, 'must be exactly one command');
  return format;
}

function decodeHeaders(option: route.RateLimit_XRateLimitOption, path: Path): boolean | undefined {
  const { UNSPECIFIED, OFF, DRAFT_VERSION_03 } = route.RateLimit_XRateLimitOption;
  if (option === UNSPECIFIED) return undefined;
  if (option === OFF) return false;
  return option === DRAFT_VERSION_03 ? true : refuse(path, `has no value ${String(option)}`);
}

/** The list as messages. */
export function encodeRateLimits(limits: readonly RateLimit[] | undefined): route.RateLimit[] {
  return (limits ?? []).map(encodeRateLimit);
}

function encodeRateLimit(limit: RateLimit): route.RateLimit {
  const { UNSPECIFIED, OFF, DRAFT_VERSION_03 } = route.RateLimit_XRateLimitOption;
  const { rateLimitHeaders, stage } = limit;
  const message = create(route.RateLimitSchema, {
    disableKey: limit.disableKey,
    actions: limit.actions.map(encodeRateLimitAction),
    applyOnStreamDone: limit.onStreamDone,
    xRatelimitOption:
      rateLimitHeaders === undefined ? UNSPECIFIED : rateLimitHeaders ? DRAFT_VERSION_03 : OFF,
  });
  // The default stays unwritten: a filter's own list may not have the field at all.
  if (stage !== 0) message.stage = stage;
  if (limit.limit !== undefined) {
    message.limit = create(route.RateLimit_OverrideSchema, {
      overrideSpecifier: {
        case: 'dynamicMetadata',
        value: create(route.RateLimit_Override_DynamicMetadataSchema, {
          metadataKey: encodeMetadataPath(limit.limit),
        }),
      },
    });
  }
  if (limit.hits !== undefined) message.hitsAddend = encodeHits(limit.hits);
  return message;
}

function encodeHits({ count, isRefund: isNegativeHits }: RateLimitHits): route.RateLimit_HitsAddend {
  return create(
    route.RateLimit_HitsAddendSchema,
    typeof count === 'number' ? { number: BigInt(count), isNegativeHits } : { format: count, isNegativeHits },
  );
}
