/**
 * The door to all generated protobuf code. `scripts/build-proto.mjs` generates it; nothing under `gen/` is committed,
 * and nothing but this file and its two neighbours (`any.ts`, `registry.ts`) imports from there.
 *
 * One namespace per proto package. Packages below `envoy.config` carry their own tail: `listener`, `route`, `cluster`,
 * `endpoint`, `core`, `rbac`, `accessLog`. Others say their kind first: HTTP filters `httpFault`, `httpRbac`,
 * `httpRouter`; load balancing `lbRoundRobin`, `lbRingHash`, `lbCommon`; services `discovery`, `loadStats`, `status`,
 * `authService`, `rateLimitService`. The whole table: `namespaces` in `scripts/proto-inputs.mjs`.
 * Types of `google.protobuf` (Any, Duration, Struct, wrappers) are in `wkt`.
 *
 * ```ts
 * import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
 * import { cluster, type core, wkt } from '../proto/xds.js';
 *
 * const message = create(cluster.ClusterSchema, { name: 'reviews', lbPolicy: cluster.Cluster_LbPolicy.RANDOM });
 * const bytes = toBinary(cluster.ClusterSchema, message);
 * const again: cluster.Cluster = fromBinary(cluster.ClusterSchema, bytes);
 * const node: core.Node | undefined = undefined; // a namespace serves types and values alike
 * ```
 *
 * Names follow protobuf-es: message `Foo` has `FooSchema`; a nested one is `Outer_Inner`; fields are camelCase; a oneof
 * is `{ case, value }`; wrappers (`UInt32Value`) are plain `number | undefined`; int64 is `bigint`. Services
 * (`discovery.AggregatedDiscoveryService`) are descriptors: their `method.x` has `name`, `input` and `output`.
 *
 * A namespace is evaluated when one of its properties is first read, so import as many as you like, but do not read
 * them at the top level of a module: `const schema = cluster.ClusterSchema` there would load it with the import.
 */

export * as wkt from '@bufbuild/protobuf/wkt';
export * from './gen/xds.js';
