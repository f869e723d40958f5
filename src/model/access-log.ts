import type { HeaderMatcher } from './matcher.js';
import type { MetadataStruct } from './metadata.js';
import type { FractionalPercent } from './percent.js';
import type { RuntimeKeys } from './runtime.js';
import type { ValueMatcher } from './value-matcher.js';

/** One of the access logs of a listener. */
export interface AccessLog {
  readonly sink: { readonly kind: 'file'; readonly path: string } | { readonly kind: 'stdout' | 'stderr' };
  readonly format: AccessLogFormat;
  /** Undefined logs every exchange. */
  readonly filter: AccessLogFilter | undefined;
}

/** Lines of text (a line break of its own is part of the format) or one JSON object per line. */
export type AccessLogFormat =
  | { readonly kind: 'text'; readonly text: string; readonly omitEmptyValues: boolean }
  | { readonly kind: 'json'; readonly template: MetadataStruct; readonly omitEmptyValues: boolean };

/** Envoy: equal, at least, at most. */
export type ComparisonOperator = 'eq' | 'ge' | 'le';

/** How a number is compared. */
export interface Comparison {
  readonly operator: ComparisonOperator;
  readonly value: number;
  readonly runtimeKeys?: RuntimeKeys<'value'> | undefined;
}

/** Envoy AccessLogFilter. */
export type AccessLogFilter =
  | ({ readonly kind: 'status-code' } & Comparison)
  | ({ readonly kind: 'duration' } & Comparison)
  | { readonly kind: 'not-health-check' }
  | { readonly kind: 'traceable' }
  | {
      readonly kind: 'runtime';
      readonly fraction: FractionalPercent;
      /** Draws on its own instead of by the request id. */
      readonly independent: boolean;
    }
  | { readonly kind: 'and' | 'or'; readonly filters: readonly AccessLogFilter[] }
  | { readonly kind: 'header'; readonly matcher: HeaderMatcher }
  /** Empty = any flag. */
  | { readonly kind: 'response-flag'; readonly flags: readonly string[] }
  | { readonly kind: 'grpc-status'; readonly statuses: readonly number[]; readonly exclude: boolean }
  | {
      readonly kind: 'metadata';
      readonly namespace: string;
      readonly path: readonly string[];
      readonly match: ValueMatcher;
      readonly matchIfNotFound: boolean;
    }
  | { readonly kind: 'log-type'; readonly types: readonly string[]; readonly exclude: boolean };

/** Envoy's format of a logger that names none. */
export const DEFAULT_ACCESS_LOG_FORMAT =
  '[%START_TIME%] "%REQUEST_HEADER(:METHOD)% %REQUEST_HEADER(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" ' +
  '%RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% ' +
  '%RESPONSE_HEADER(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQUEST_HEADER(X-FORWARDED-FOR)%" ' +
  '"%REQUEST_HEADER(USER-AGENT)%" "%REQUEST_HEADER(X-REQUEST-ID)%" "%REQUEST_HEADER(:AUTHORITY)%" ' +
  '"%UPSTREAM_HOST%"\n';
