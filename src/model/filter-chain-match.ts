import type { AddressRange } from './value-matcher.js';

/** Envoy FilterChainMatch: which connections a filter chain takes. What is empty or undefined is not looked at. */
export interface FilterChainMatch {
  readonly destinationPort?: number | undefined;
  /** Ranges of destinations. */
  readonly destinationRanges: readonly AddressRange[];
  /** Lower-case names of the SNI, exact or `*.` and the rest. */
  readonly serverNames: readonly string[];
  readonly transportProtocol: 'tls' | 'raw_buffer' | '';
  /** Of the ALPN that the client offers. */
  readonly applicationProtocols: readonly string[];
  readonly directSourceRanges: readonly AddressRange[];
  readonly sourceType: SourceType;
  readonly sourceRanges: readonly AddressRange[];
  readonly sourcePorts: readonly number[];
}

/** The same but for TLS or plaintext, which chains of servers say apart. */
export type ChainCriteria = Omit<FilterChainMatch, 'transportProtocol'>;

/** Where connections come from: this machine, another one, or any. */
export type SourceType = 'any' | 'local' | 'external';

/** Takes every connection that is TLS, or is not. */
export const NO_CRITERIA: ChainCriteria = {
  destinationRanges: [],
  serverNames: [],
  applicationProtocols: [],
  directSourceRanges: [],
  sourceType: 'any',
  sourceRanges: [],
  sourcePorts: [],
};

/** Takes every connection. */
export const MATCH_EVERYTHING: FilterChainMatch = { ...NO_CRITERIA, transportProtocol: '' };
