/** Envoy OnDemand: a request that no route matches waits for the virtual host of its name, where the table has more to give. */
export interface OnDemandConfig {
  readonly kind: 'on-demand';
}

/** Envoy PerRouteConfig of the same filter; without clusters on demand it says nothing. */
export interface OnDemandRouteConfig {
  readonly kind: 'on-demand-route';
}
