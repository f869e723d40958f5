import { MeshError } from '../../runtime/errors.js';
import type { CallRetry } from '../../service/call-retry.js';
import { durationOf, field, listOf, textOf } from './config-fields.js';
import { callRetryOf, DEFAULT_RETRY_LIMITS, type RetryLimits, throttleOf } from './retry-config.js';

/** What a service config says of a method. */
export interface MethodSettings {
  /** Calls may take this long; undefined = as long as they like. */
  readonly timeoutMs: number | undefined;
  /** Calls wait for ready unless they say otherwise; undefined = nothing is said. */
  readonly waitForReady: boolean | undefined;
  /** Retries or hedging of its calls, where the mesh has no word on that; undefined = none. */
  readonly retry: CallRetry | undefined;
}

/** Settings of methods by their path, `/package.Service/Method`. */
export type MethodSettingsOf = (path: string) => MethodSettings;

const NOTHING: MethodSettings = { timeoutMs: undefined, waitForReady: undefined, retry: undefined };

/**
 * Reads the service config of a channel (`grpc.service_config`, JSON): timeouts, `waitForReady`, retries and hedging of its
 * methods. Balancing is what the mesh's configuration says, so that part of it is of no use here.
 * @throws MeshError `INMESH_OPTION_INVALID`.
 */
export function methodSettings(text: unknown, limits: RetryLimits = DEFAULT_RETRY_LIMITS): MethodSettingsOf {
  if (text === undefined) return () => NOTHING;
  const byName = new Map<string, MethodSettings>();
  const whole = parse(text);
  const throttle = throttleOf(field(whole, 'retryThrottling'));
  for (const config of listOf(whole, 'methodConfig')) {
    const settings = { ...settingsOf(config), retry: callRetryOf(config, throttle, limits) };
    for (const name of listOf(config, 'name')) {
      const key = `${textOf(name, 'service')}/${textOf(name, 'method')}`;
      // gRPC: of equal names the first counts.
      if (!byName.has(key)) byName.set(key, settings);
    }
  }
  return (path) => {
    const [, service = '', method = ''] = path.split('/');
    return byName.get(`${service}/${method}`) ?? byName.get(`${service}/`) ?? byName.get('/') ?? NOTHING;
  };
}

function parse(text: unknown): unknown {
  try {
    return JSON.parse(String(text));
  } catch (error) {
    throw new MeshError('INMESH_OPTION_INVALID', 'grpc.service_config is no JSON', { cause: error });
  }
}

function settingsOf(config: unknown): Omit<MethodSettings, 'retry'> {
  const waitForReady = field(config, 'waitForReady');
  return {
    timeoutMs: durationOf(field(config, 'timeout')),
    waitForReady: typeof waitForReady === 'boolean' ? waitForReady : undefined,
  };
}
