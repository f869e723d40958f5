import { actionsOf } from './match-tree.js';
import type { Route, VirtualHost } from './route.js';

/** Every route of a virtual host, those in its match tree included. */
export function routesOf({ routes, matcher }: VirtualHost): readonly Route[] {
  return matcher === undefined ? routes : [...routes, ...actionsOf(matcher).flat()];
}
