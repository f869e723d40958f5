import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type { JwksRetry, JwksSource, JwtProvider } from '../model/jwt-authn.js';
import { core, httpJwtAuthn as filter } from '../proto/xds.js';
import { decodeTextSource } from './data-source.js';
import {
  decodeDuration,
  decodeOptionalDuration,
  decodePositiveDuration,
  encodeDuration,
} from './duration.js';
import { onlyFields } from './field-guard.js';
import { headerName } from './header-mutation.js';
import { decodeHttpUri, encodeHttpUri } from './http-uri.js';
import { decodeStringMatcher, encodeStringMatcher } from './matcher.js';
import { at, type Path, refuse, required } from './path.js';

const providerFields = onlyFields(() => filter.JwtProviderSchema, {
  enforced: [
    'clear_route_cache',
    'issuer',
    'audiences',
    'subjects',
    'require_expiration',
    'max_lifetime',
    'remote_jwks',
    'local_jwks',
    'forward',
    'from_headers',
    'from_params',
    'from_cookies',
    'forward_payload_header',
    'pad_forward_payload_header',
    'payload_in_metadata',
    'normalize_payload_in_metadata',
    'header_in_metadata',
    'failed_status_in_metadata',
    'clock_skew_seconds',
    'jwt_cache_config',
    'claim_to_headers',
  ],
});
const remoteFields = onlyFields(() => filter.RemoteJwksSchema, {
  enforced: ['http_uri', 'cache_duration', 'async_fetch', 'retry_policy'],
});
const retryFields = onlyFields(() => core.RetryPolicySchema, {
  enforced: ['retry_back_off', 'num_retries'],
  // Envoy: the conditions of this policy are fixed.
  ignored: ['retry_on'],
});

/** Envoy: 10 minutes. */
const DEFAULT_CACHE_MS = 600_000;
const DEFAULT_REFETCH_MS = 1000;
const DEFAULT_SKEW_SECONDS = 60;
const DEFAULT_CACHE_SIZE = 100;
const DEFAULT_BASE_MS = 1000;

/** The provider. */
export function decodeJwtProvider(message: filter.JwtProvider, path: Path): JwtProvider {
  providerFields(message, path);
  const { subjects, forwardPayloadHeader } = message;
  return {
    issuer: message.issuer,
    audiences: message.audiences,
    subjects: subjects && decodeStringMatcher(subjects, at(path, 'subjects')),
    requireExpiration: message.requireExpiration,
    maxLifetimeMs: decodeOptionalDuration(message.maxLifetime, at(path, 'max_lifetime')),
    jwks: decodeSource(message.jwksSourceSpecifier, path),
    clearRouteCache: message.clearRouteCache || undefined,
    forward: message.forward,
    fromHeaders: message.fromHeaders.map(({ name, valuePrefix }, index) => ({
      name: headerName(name, at(at(path, 'from_headers', index), 'name')),
      valuePrefix,
    })),
    fromParams: message.fromParams,
    fromCookies: message.fromCookies,
    forwardPayloadHeader:
      forwardPayloadHeader === '' ? '' : headerName(forwardPayloadHeader, at(path, 'forward_payload_header')),
    padForwardPayloadHeader: message.padForwardPayloadHeader,
    payloadInMetadata: message.payloadInMetadata,
    headerInMetadata: message.headerInMetadata,
    failedStatusInMetadata: message.failedStatusInMetadata,
    spaceDelimitedClaims: message.normalizePayloadInMetadata?.spaceDelimitedClaims ?? [],
    // Envoy: zero means the default.
    clockSkewSeconds: message.clockSkewSeconds || DEFAULT_SKEW_SECONDS,
    cacheSize: message.jwtCacheConfig && (message.jwtCacheConfig.jwtCacheSize || DEFAULT_CACHE_SIZE),
    claimToHeaders: message.claimToHeaders.map(({ headerName: header, claimName }, index) => {
      const place = at(path, 'claim_to_headers', index);
      if (claimName === '') refuse(at(place, 'claim_name'), 'must not be empty');
      return { header: headerName(header, at(place, 'header_name')), claim: claimName };
    }),
  };
}

function decodeSource(source: filter.JwtProvider['jwksSourceSpecifier'], path: Path): JwksSource {
  switch (source.case) {
    case 'localJwks':
      return { kind: 'local', text: decodeTextSource(source.value, at(path, 'local_jwks')) };
    case 'remoteJwks':
      return decodeRemote(source.value, at(path, 'remote_jwks'));
    default:
      return refuse(path, 'needs remote_jwks or local_jwks');
  }
}

function decodeRemote(message: filter.RemoteJwks, path: Path): JwksSource {
  remoteFields(message, path);
  const { httpUri, asyncFetch, cacheDuration, retryPolicy } = message;
  const cacheDurationMs = decodePositiveDuration(cacheDuration, DEFAULT_CACHE_MS, at(path, 'cache_duration'));
  if (cacheDurationMs < 1) refuse(at(path, 'cache_duration'), 'must be at least 1 ms');
  const failedPath = at(at(path, 'async_fetch'), 'failed_refetch_duration');
  return {
    kind: 'remote',
    uri: decodeHttpUri(required(httpUri, at(path, 'http_uri')), at(path, 'http_uri')),
    cacheDurationMs,
    asyncFetch: asyncFetch && {
      fastListener: asyncFetch.fastListener,
      failedRefetchMs:
        decodeOptionalDuration(asyncFetch.failedRefetchDuration, failedPath) ?? DEFAULT_REFETCH_MS,
    },
    retry: retryPolicy && decodeRetry(retryPolicy, at(path, 'retry_policy')),
  };
}

function decodeRetry(message: core.RetryPolicy, path: Path): JwksRetry {
  retryFields(message, path);
  const { retryBackOff, numRetries = 1 } = message;
  const backOffPath = at(path, 'retry_back_off');
  const baseIntervalMs =
    retryBackOff === undefined
      ? DEFAULT_BASE_MS
      : decodeDuration(
          required(retryBackOff.baseInterval, at(backOffPath, 'base_interval')),
          at(backOffPath, 'base_interval'),
        );
  if (baseIntervalMs < 1) refuse(at(backOffPath, 'base_interval'), 'must be at least 1 ms');
  const maxIntervalMs = decodePositiveDuration(
    retryBackOff?.maxInterval,
    10 * baseIntervalMs,
    at(backOffPath, 'max_interval'),
  );
  if (maxIntervalMs < baseIntervalMs) {
    refuse(at(backOffPath, 'max_interval'), 'must be at least base_interval');
  }
  return { numRetries, baseIntervalMs, maxIntervalMs };
}

/** The provider as a message. */
export function encodeJwtProvider(provider: JwtProvider): filter.JwtProvider {
  const init: MessageInitShape<typeof filter.JwtProviderSchema> = {
    issuer: provider.issuer,
    audiences: [...provider.audiences],
    requireExpiration: provider.requireExpiration,
    jwksSourceSpecifier: encodeSource(provider.jwks),
    forward: provider.forward,
    fromHeaders: [...provider.fromHeaders],
    fromParams: [...provider.fromParams],
    fromCookies: [...provider.fromCookies],
    forwardPayloadHeader: provider.forwardPayloadHeader,
    padForwardPayloadHeader: provider.padForwardPayloadHeader,
    payloadInMetadata: provider.payloadInMetadata,
    headerInMetadata: provider.headerInMetadata,
    failedStatusInMetadata: provider.failedStatusInMetadata,
    clockSkewSeconds: provider.clockSkewSeconds,
    clearRouteCache: provider.clearRouteCache ?? false,
    claimToHeaders: provider.claimToHeaders.map(({ header, claim }) => ({
      headerName: header,
      claimName: claim,
    })),
  };
  const { subjects, maxLifetimeMs, spaceDelimitedClaims, cacheSize } = provider;
  if (subjects !== undefined) init.subjects = encodeStringMatcher(subjects);
  if (maxLifetimeMs !== undefined) init.maxLifetime = encodeDuration(maxLifetimeMs);
  if (spaceDelimitedClaims.length > 0) {
    init.normalizePayloadInMetadata = { spaceDelimitedClaims: [...spaceDelimitedClaims] };
  }
  if (cacheSize !== undefined) init.jwtCacheConfig = { jwtCacheSize: cacheSize };
  return create(filter.JwtProviderSchema, init);
}

function encodeSource(source: JwksSource): filter.JwtProvider['jwksSourceSpecifier'] {
  if (source.kind === 'local') {
    const specifier = { case: 'inlineString' as const, value: source.text };
    return { case: 'localJwks', value: create(core.DataSourceSchema, { specifier }) };
  }
  const { uri, cacheDurationMs, asyncFetch, retry } = source;
  const message = create(filter.RemoteJwksSchema, {
    httpUri: encodeHttpUri(uri),
    cacheDuration: encodeDuration(cacheDurationMs),
  });
  if (asyncFetch !== undefined) {
    message.asyncFetch = create(filter.JwksAsyncFetchSchema, {
      fastListener: asyncFetch.fastListener,
      failedRefetchDuration: encodeDuration(asyncFetch.failedRefetchMs),
    });
  }
  if (retry !== undefined) {
    message.retryPolicy = create(core.RetryPolicySchema, {
      numRetries: retry.numRetries,
      retryBackOff: {
        baseInterval: encodeDuration(retry.baseIntervalMs),
        maxInterval: encodeDuration(retry.maxIntervalMs),
      },
    });
  }
  return { case: 'remoteJwks', value: message };
}
