import { FILTER_EXTENSION } from '../codec/filter-extension.js';
import { CLUSTER, CLUSTER_LOAD_ASSIGNMENT, LISTENER, ROUTE_CONFIGURATION } from '../codec/resource-types.js';
import { RUNTIME } from '../codec/runtime.js';
import { SECRET } from '../codec/secret.js';
import { VIRTUAL_HOST } from '../codec/virtual-host.js';
import type { DecodableType } from './protocol.js';
import type { ReferenceKind } from './resolution.js';

/** The types that a client follows, in the order in which they refer to each other. */
export const CLIENT_TYPES = [
  LISTENER,
  ROUTE_CONFIGURATION,
  VIRTUAL_HOST,
  CLUSTER,
  CLUSTER_LOAD_ASSIGNMENT,
  SECRET,
  FILTER_EXTENSION,
  RUNTIME,
] as const;

/** The type that a kind of reference leads to. */
export const TYPE_OF: Readonly<Record<ReferenceKind, DecodableType>> = {
  listener: LISTENER,
  routes: ROUTE_CONFIGURATION,
  'virtual-hosts': VIRTUAL_HOST,
  cluster: CLUSTER,
  assignment: CLUSTER_LOAD_ASSIGNMENT,
  secret: SECRET,
  extension: FILTER_EXTENSION,
  runtime: RUNTIME,
};
