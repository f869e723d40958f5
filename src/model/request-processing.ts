/** A range of addresses. */
export interface AddressRange {
  readonly address: string;
  readonly prefixLength: number;
}

/**
 * What Envoy's connection manager does to each request before routes are looked at. The defaults of its fields stand in
 * the comments; a connection manager that sets none of them leaves requests as they came.
 */
export interface RequestProcessing {
  /** RFC 3986 normalisation of the path. Default false. */
  readonly normalizePath: boolean;
  readonly mergeSlashes: boolean;
  /** In place of the two above and `escapedSlashes`: the rules of the universal header validator. Default none. */
  readonly universalPath?: UniversalPathRules | undefined;
  /** What happens to `%2F` and `%5C` in paths. */
  readonly escapedSlashes: 'keep' | 'reject' | 'redirect' | 'forward';
  /** The port that is taken off the host: none, the server's own, or any. */
  readonly stripHostPort: 'none' | 'matching' | 'any';
  readonly stripTrailingHostDot: boolean;
  /** The peer of the connection is the client, and `x-forwarded-for` gets its address. Default false. */
  readonly useRemoteAddress: boolean;
  readonly xffNumTrustedHops: number;
  readonly skipXffAppend: boolean;
  /** Addresses whose requests are internal. Default none. */
  readonly internalAddresses: readonly AddressRange[];
  /** Whether requests over Unix sockets are internal. */
  readonly internalUnixSockets: boolean;
  /** Appended to `via`; empty = nothing. */
  readonly via: string;
  /** Default true. */
  readonly generateRequestId: boolean;
  readonly preserveExternalRequestId: boolean;
  readonly requestIdInResponse: boolean;
  /** Overwrites the scheme. */
  readonly scheme: 'http' | 'https' | undefined;
  readonly appendForwardedPort: boolean;
  /** Value of the `server` header; undefined leaves the application's. */
  readonly server: { readonly name: string; readonly overwrite: boolean } | undefined;
  readonly addUserAgent: boolean;
}

/** What is done to paths. */
export type PathRules = Pick<
  RequestProcessing,
  'normalizePath' | 'mergeSlashes' | 'escapedSlashes' | 'universalPath'
>;

/** Envoy's universal header validator, as far as it is about paths. */
export interface UniversalPathRules extends Pick<RequestProcessing, 'mergeSlashes' | 'escapedSlashes'> {
  readonly skipNormalization: boolean;
  /** A fragment is cut off; else who sends one is refused. */
  readonly stripFragment: boolean;
}

export const NO_PROCESSING: RequestProcessing = {
  normalizePath: false,
  mergeSlashes: false,
  universalPath: undefined,
  escapedSlashes: 'keep',
  stripHostPort: 'none',
  stripTrailingHostDot: false,
  useRemoteAddress: false,
  xffNumTrustedHops: 0,
  skipXffAppend: false,
  internalAddresses: [],
  internalUnixSockets: false,
  via: '',
  generateRequestId: true,
  preserveExternalRequestId: false,
  requestIdInResponse: false,
  scheme: undefined,
  appendForwardedPort: false,
  server: undefined,
  addUserAgent: false,
};
