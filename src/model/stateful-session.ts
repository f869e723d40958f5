/** Where a session is remembered. */
export type SessionState =
  | {
      readonly kind: 'cookie';
      readonly name: string;
      /** Whole seconds; 0 = a cookie of the browser's session. */
      readonly ttlSeconds: number;
      /** Requests below this path have a session; empty = all. */
      readonly path: string;
      /** Further attributes of the cookie, in order; an empty value stands for none. */
      readonly attributes: readonly { readonly name: string; readonly value: string }[];
    }
  | {
      readonly kind: 'header';
      /** Lower case. */
      readonly name: string;
    };

/** One way of keeping sessions. */
export interface StatefulSession {
  /** Undefined = nothing is remembered. */
  readonly state: SessionState | undefined;
  /** Requests fail when their host is not there, instead of going to another. */
  readonly strict: boolean;
}

/** Envoy `envoy.filters.http.stateful_session`: requests of a session go to the host that began it. */
export interface StatefulSessionConfig extends StatefulSession {
  readonly kind: 'stateful-session';
}

/** What a route, virtual host or weighted cluster does instead. */
export interface StatefulSessionRouteConfig {
  readonly kind: 'stateful-session-route';
  /** Undefined = no sessions here. */
  readonly session: StatefulSession | undefined;
}
