/** Envoy HttpUri: a URL that is asked through a cluster. */
export interface HttpUri {
  /** With or without scheme. */
  readonly uri: string;
  readonly cluster: string;
  readonly timeoutMs: number;
}
