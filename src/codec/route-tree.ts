import { create } from '@bufbuild/protobuf';
import type { Route } from '../model/route.js';
import { packAny } from '../proto/any.js';
import { route, type xdsCore } from '../proto/xds.js';
import { decodeAny } from './codec.js';
import { matchExtension, type TreeCodec } from './match-tree.js';
import { at, type Path, refuse, required } from './path.js';

interface RouteCodec {
  /** Undefined = the route is left out. */
  decode(message: route.Route, path: Path): Route | undefined;
  encode(model: Route): route.Route;
}

/** Envoy: what a match tree of a virtual host leads to is a route, or a list of routes whose first match wins. */
export function routeTreeCodec(codec: RouteCodec): TreeCodec<readonly Route[]> {
  return {
    decodeAction(extension: xdsCore.TypedExtensionConfig, path: Path) {
      const config = required(extension.typedConfig, at(path, 'typed_config'));
      const where = at(path, 'typed_config');
      const one = decodeAny(route.RouteSchema, config, where);
      if (one !== undefined) return present([codec.decode(one, where)]);
      const list = decodeAny(route.RouteListSchema, config, where);
      if (list === undefined)
        return refuse(path, `the action ${JSON.stringify(config.typeUrl)} is not supported`);
      return present(list.routes.map((entry, index) => codec.decode(entry, at(where, 'routes', index))));
    },
    encodeAction(routes) {
      const list = create(route.RouteListSchema, { routes: routes.map((one) => codec.encode(one)) });
      return matchExtension('route', packAny(route.RouteListSchema, list));
    },
  };
}

function present(routes: readonly (Route | undefined)[]): readonly Route[] {
  return routes.filter((one) => one !== undefined);
}
