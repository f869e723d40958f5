import { type ChannelOptions, status } from '@grpc/grpc-js';
import { MeshError } from '../../runtime/errors.js';
import { type CallRetry, RetryThrottle } from '../../service/call-retry.js';
import { durationOf, field, listOf } from './config-fields.js';

/** What a channel's options say of retries. */
export interface RetryLimits {
  readonly isEnabled: boolean;
  /** More attempts than these are never made. */
  readonly maxAttempts: number;
}

/** gRFC A6. */
const MAX_ATTEMPTS = 5;
const MAX_TOKENS = 1000;

export const DEFAULT_RETRY_LIMITS: RetryLimits = { isEnabled: true, maxAttempts: MAX_ATTEMPTS };

/** `grpc.enable_retries`, and grpc-js's own limit of attempts. */
export function retryLimits(options: ChannelOptions): RetryLimits {
  const limit = options['grpc-node.retry_max_attempts_limit'];
  return {
    isEnabled: options['grpc.enable_retries'] !== 0,
    maxAttempts: typeof limit === 'number' ? limit : MAX_ATTEMPTS,
  };
}

/** Retries or hedging of a method; undefined when its config has none, or retries are off. */
export function callRetryOf(
  config: unknown,
  throttle: RetryThrottle | undefined,
  { isEnabled, maxAttempts }: RetryLimits,
): CallRetry | undefined {
  const [retry, hedge] = [field(config, 'retryPolicy'), field(config, 'hedgingPolicy')];
  if (retry !== undefined && hedge !== undefined) {
    throw invalid('a method has either a retryPolicy or a hedgingPolicy');
  }
  const policy = retry ?? hedge;
  if (policy === undefined) return undefined;
  const own = retry === undefined ? hedgingOf(policy) : retriesOf(policy);
  const attempts = field(policy, 'maxAttempts');
  if (!Number.isInteger(attempts) || Number(attempts) < 2) throw invalid('maxAttempts must be 2 or more');
  if (!isEnabled) return undefined;
  return { ...own, maxAttempts: Math.min(Number(attempts), maxAttempts), throttle };
}

type Own = Omit<CallRetry, 'maxAttempts' | 'throttle'>;

function retriesOf(policy: unknown): Own {
  const multiplier = field(policy, 'backoffMultiplier');
  if (typeof multiplier !== 'number' || !(multiplier > 0)) {
    throw invalid('backoffMultiplier must be more than 0');
  }
  const statuses = statusesOf(policy, 'retryableStatusCodes');
  if (statuses.size === 0) throw invalid('retryableStatusCodes must not be empty');
  const [initialMs, maxMs] = [waitOf(policy, 'initialBackoff'), waitOf(policy, 'maxBackoff')];
  // The first wait is bounded, too.
  const backoff = { initialMs: Math.min(initialMs, maxMs), maxMs, multiplier };
  return { kind: 'retry', statuses, backoff, hedgingDelayMs: 0 };
}

function hedgingOf(policy: unknown): Own {
  return {
    kind: 'hedge',
    statuses: statusesOf(policy, 'nonFatalStatusCodes'),
    backoff: { initialMs: 0, maxMs: 0, multiplier: 1 },
    hedgingDelayMs: durationOf(field(policy, 'hedgingDelay')) ?? 0,
  };
}

function waitOf(policy: unknown, name: string): number {
  const waitMs = durationOf(field(policy, name)) ?? 0;
  if (waitMs <= 0) throw invalid(`${name} must be more than 0s`);
  return waitMs;
}

/** Statuses by their names, in any case, or their numbers. */
function statusesOf(policy: unknown, name: string): ReadonlySet<number> {
  return new Set(
    listOf(policy, name).map((one) => {
      const code = typeof one === 'string' ? status[one.toUpperCase() as keyof typeof status] : one;
      if (typeof code === 'number' && status[code] !== undefined) return code;
      throw invalid(`${name}: ${JSON.stringify(one)} is no status of gRPC`);
    }),
  );
}

/** The throttle that all methods of a service config share; undefined when it has none. */
export function throttleOf(config: unknown): RetryThrottle | undefined {
  if (config === undefined) return undefined;
  const [maxTokens, ratio] = [Number(field(config, 'maxTokens')), Number(field(config, 'tokenRatio'))];
  if (!(maxTokens > 0 && maxTokens <= MAX_TOKENS)) {
    throw invalid(`retryThrottling: maxTokens must be more than 0, at most ${MAX_TOKENS}`);
  }
  // gRFC A6: three decimals count.
  const tokenRatio = Math.floor(ratio * 1000) / 1000;
  if (!(tokenRatio > 0)) throw invalid('retryThrottling: tokenRatio must be more than 0');
  return new RetryThrottle(maxTokens, tokenRatio);
}

function invalid(what: string): MeshError {
  return new MeshError('INMESH_OPTION_INVALID', `grpc.service_config: ${what}`);
}
