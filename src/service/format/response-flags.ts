import type { ResponseFlag } from '../context.js';

/** Envoy's response flags: short form to long form. */
export const LONG_FLAGS: Readonly<Record<ResponseFlag, string>> = {
  LH: 'FailedLocalHealthCheck',
  UH: 'NoHealthyUpstream',
  UT: 'UpstreamRequestTimeout',
  LR: 'LocalReset',
  UR: 'UpstreamRemoteReset',
  UF: 'UpstreamConnectionFailure',
  UC: 'UpstreamConnectionTermination',
  UO: 'UpstreamOverflow',
  NR: 'NoRouteFound',
  DI: 'DelayInjected',
  FI: 'FaultInjected',
  RL: 'RateLimited',
  UAEX: 'UnauthorizedExternalService',
  RLSE: 'RateLimitServiceError',
  DC: 'DownstreamConnectionTermination',
  URX: 'UpstreamRetryLimitExceeded',
  SI: 'StreamIdleTimeout',
  IH: 'InvalidEnvoyRequestHeaders',
  DPE: 'DownstreamProtocolError',
  UMSDR: 'UpstreamMaxStreamDurationReached',
  RFCF: 'ResponseFromCacheFilter',
  NFCF: 'NoFilterConfigFound',
  DT: 'DurationTimeout',
  UPE: 'UpstreamProtocolError',
  NC: 'NoClusterFound',
  OM: 'OverloadManagerTerminated',
  DF: 'DnsResolutionFailed',
  DO: 'DropOverload',
  DR: 'DownstreamRemoteReset',
  UDO: 'UnconditionalDropOverload',
};

/** Whether the text is the short form of a response flag. */
export function isResponseFlag(text: string): text is ResponseFlag {
  return Object.hasOwn(LONG_FLAGS, text);
}

/** The flags in the order they were set, joined by commas; `-` for none. */
export function formatFlags(flags: readonly ResponseFlag[], form: 'short' | 'long' = 'short'): string {
  if (flags.length === 0) return '-';
  return form === 'short' ? flags.join(',') : flags.map((flag) => LONG_FLAGS[flag]).join(',');
}
