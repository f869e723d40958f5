/** Whether requests may switch to a protocol (Envoy UpgradeConfig). */
export interface UpgradeRule {
  /** Protocol of the `Upgrade` header, or `CONNECT`; compared without regard to case. */
  readonly type: string;
  /** Default true. */
  readonly enabled: boolean;
  /** A CONNECT ends here, and its bytes go to the endpoint as they are (Envoy `connect_config`); for routes. */
  readonly terminates?: boolean | undefined;
}
