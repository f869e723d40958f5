import type { FractionalPercent } from './percent.js';

/** Envoy RequestMirrorPolicy: a copy of the request whose response is thrown away. */
export interface MirrorPolicy {
  readonly target:
    | { readonly kind: 'cluster'; readonly name: string }
    /** The cluster is named by a request header. */
    | { readonly kind: 'header'; readonly name: string };
  /** Undefined = every request. */
  readonly fraction: FractionalPercent | undefined;
  /** Undefined = as the request itself. */
  readonly traceSampled: boolean | undefined;
  /** Appends `-shadow` to the host. */
  readonly hostSuffix: boolean;
}
