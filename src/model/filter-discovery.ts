/** A filter whose configuration is a resource of its own (ECDS), under the filter's name. */
export interface FilterDiscovery {
  /** Full names of the messages that it may be. */
  readonly types: readonly string[];
  /** Whether the default is used at once, rather than only when the resource does not come. */
  readonly appliesDefault: boolean;
}

/** Stands for a configuration that is not there (Envoy): requests are answered with 500. */
export interface MissingConfig {
  readonly kind: 'missing-config';
}
