import { type JsonValue, toJson } from '@bufbuild/protobuf';
import { encodeFilter } from '../../codec/filter-config.js';
import { encodeNetworkGuard } from '../../codec/network-guard.js';
import type { HttpFilter } from '../../model/filter-config.js';
import { registry } from '../../proto/registry.js';
import { listener, wkt } from '../../proto/xds.js';
import { systemClock } from '../../runtime/clock.js';
import { silentLogger } from '../../runtime/log.js';
import { authorizationCompiler } from '../compile/authorization/workload.js';
import { meshConfigOf } from '../compile/mesh-document.js';
import { type PolicySubject, servingLabels } from '../compile/policy-scope.js';
import type { ConfigView } from '../kinds/view.js';
import { createMeshConfig, type MeshSettings } from '../mesh/mesh-config.js';
import {
  type AuthorizationCheck,
  type AuthorizationQuery,
  type AuthorizationWorld,
  checkAuthorization,
} from '../policy/authorization-check.js';
import { type MigratedRbac, migrateRbac } from '../policy/legacy-rbac.js';
import { snapshotOf } from '../registry/snapshot.js';
import { DEFAULT_LIMITS } from '../schema/limits.js';
import type { Violation } from '../schema/violation.js';
import { readFiles } from '../sources/read-files.js';
import { createConfigStore } from '../store/config-store.js';

/** For which workload policies are compiled. */
export interface AuthorizationTarget extends PolicySubject {
  readonly mesh?: MeshSettings | undefined;
}

/** The filters of a workload in Envoy's JSON, in the order in which they decide. */
export interface AuthorizationJson {
  readonly http: readonly JsonValue[];
  readonly tcp: readonly JsonValue[];
}

/** What documents come to, or what is wrong with them. */
export type FromFiles<T> =
  | { readonly accepted: true; readonly result: T; readonly warnings: readonly Violation[] }
  | { readonly accepted: false; readonly violations: readonly Violation[] };

/** Compiles the AuthorizationPolicies in files and folders for one workload. */
export function compileAuthorizationFiles(
  paths: readonly string[],
  { mesh, ...target }: AuthorizationTarget,
): Promise<FromFiles<AuthorizationJson & { readonly problems: readonly string[] }>> {
  return fromFiles(paths, (view) => compileAuthorization(worldOf(view, mesh), target));
}

/** Files tell of documents alone. */
function worldOf(view: ConfigView, mesh: MeshSettings = {}): AuthorizationWorld {
  return { view, registry: snapshotOf([]), config: meshConfigOf(view, createMeshConfig(mesh)) };
}

/** Compiles the AuthorizationPolicies of a configuration for one workload. */
export function compileAuthorization(
  { view, registry, config }: AuthorizationWorld,
  target: PolicySubject,
): AuthorizationJson & { readonly problems: readonly string[] } {
  const labels = servingLabels(target.service, target.labels);
  const { http, tcp, problems } = authorizationCompiler(view, registry, config)({ ...target, labels });
  return { http: http.map(httpJson), tcp: tcp.map(tcpJson), problems };
}

/** Tells which policies in files and folders hold for a workload, and what they say of a request. */
export function checkAuthorizationFiles(
  paths: readonly string[],
  { mesh, ...query }: AuthorizationQuery & AuthorizationTarget,
): Promise<FromFiles<AuthorizationCheck>> {
  return fromFiles(paths, (view) => checkAuthorization(worldOf(view, mesh), query));
}

/** Translates the policies of Istio's v1alpha1 in files and folders. */
export async function migrateRbacFiles(
  paths: readonly string[],
  rootNamespace?: string,
): Promise<FromFiles<MigratedRbac>> {
  const { files, violations } = await readFiles(paths, DEFAULT_LIMITS);
  if (violations.length > 0) return { accepted: false, violations };
  return { accepted: true, result: migrateRbac(files, rootNamespace), warnings: [] };
}

async function fromFiles<T>(paths: readonly string[], read: (view: ConfigView) => T): Promise<FromFiles<T>> {
  const store = createConfigStore({ clock: systemClock, logger: silentLogger }, { isPreview: true });
  const result = store.propose('documents', await readFiles(paths, DEFAULT_LIMITS));
  if (!result.accepted) return { accepted: false, violations: result.violations };
  return { accepted: true, result: read(store.current.value), warnings: store.warnings.value };
}

const options = () => ({ registry: registry(), useProtoFieldName: true });

/** Filters are known by what they are: their names in a listener only tell them apart. */
function httpJson({ name, config }: HttpFilter): JsonValue {
  const known = /^envoy\.filters\.http\.(?:rbac|ext_authz)/.exec(name)?.[0] ?? name;
  return { name: known, typed_config: toJson(wkt.AnySchema, encodeFilter(config), options()) };
}

function tcpJson(guard: Parameters<typeof encodeNetworkGuard>[0]): JsonValue {
  return toJson(listener.FilterSchema, encodeNetworkGuard(guard), options());
}
