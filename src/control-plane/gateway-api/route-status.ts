import type { ApiGrpcFilter, ApiHttpFilter } from '../kinds/gateway-api/types.js';
import type { FieldPath } from '../kinds/view.js';
import type { MeshService } from '../mesh/services.js';
import { type BackendReference, missingTarget, targetOfBackend } from './backends.js';
import { isComplaint } from './certificates.js';
import { type Complaint, type Condition, conditionOf, type PlacedComplaint, plain } from './condition.js';
import { type Grants, NO_GRANT_NEEDED } from './grants.js';
import type { ApiRoute, ParentAttachment } from './parents.js';
import { isServiceParent, refusalOfService } from './parents.js';
import type { RouteState } from './route-state.js';

/** What routes are judged with. */
export interface RouteJudging {
  readonly services: ReadonlyMap<string, MeshService>;
  readonly grants: Grants;
}

/** Filters that are not carried out: requests that they are for are answered with an error. */
export function isUnsupportedFilter(filter: ApiHttpFilter | ApiGrpcFilter): boolean {
  const { type } = filter;
  if (type === 'ExtensionRef' || type === 'ExternalAuth') return true;
  // Nothing ends an exchange with a status below 200.
  return type === 'DirectResponse' && (filter.directResponse?.statusCode ?? 0) < 200;
}

interface RuleLike {
  readonly filters?: readonly (ApiHttpFilter | ApiGrpcFilter)[] | undefined;
  readonly backendRefs?:
    | readonly (BackendReference & {
        readonly filters?: readonly (ApiHttpFilter | ApiGrpcFilter)[] | undefined;
      })[]
    | undefined;
}

function rulesOf({ spec }: ApiRoute): readonly RuleLike[] {
  return spec.rules ?? [];
}

/** Every reference to a backend of a route that leads nowhere. */
export function unresolvedBackends(
  route: ApiRoute,
  { services, grants }: RouteJudging,
): readonly PlacedComplaint[] {
  const found: PlacedComplaint[] = [];
  const check = (reference: BackendReference, path: FieldPath) => {
    const target = targetOfBackend(route, reference, grants);
    const complaint = isComplaint(target) ? target : missingTarget(target, services);
    if (complaint !== undefined) found.push({ ...complaint, path });
  };
  for (const [index, { filters = [], backendRefs = [] }] of rulesOf(route).entries()) {
    const path = ['spec', 'rules', index];
    const checkMirrors = (list: RuleLike['filters'], at: FieldPath) => {
      for (const [number, { requestMirror }] of (list ?? []).entries()) {
        if (requestMirror !== undefined)
          check(requestMirror.backendRef, [...at, 'filters', number, 'requestMirror', 'backendRef']);
      }
    };
    checkMirrors(filters, path);
    for (const [number, backend] of backendRefs.entries()) {
      check(backend, [...path, 'backendRefs', number]);
      checkMirrors(backend.filters, [...path, 'backendRefs', number]);
    }
  }
  return found;
}

/** The rules of a route that are not carried out, and why. */
export function invalidRules(route: ApiRoute): readonly PlacedComplaint[] {
  return rulesOf(route).flatMap(({ filters = [], backendRefs = [] }, index) => {
    const lists = [filters, ...backendRefs.map((backend) => backend.filters ?? [])];
    const wrong = lists.flat().find(isUnsupportedFilter);
    if (wrong === undefined) return [];
    const message = `filters of the type ${wrong.type} are not carried out, so that the rule answers with an error`;
    return [{ reason: 'UnsupportedValue', message, path: ['spec', 'rules', index] }];
  });
}

/** The conditions of a route towards one of its parents. */
export function parentConditions(
  state: RouteState,
  parent: ParentAttachment,
  judging: RouteJudging,
): readonly Condition[] {
  const { route } = state;
  const invalid = invalidRules(route);
  const refusal = notAccepted(route, parent, judging);
  const conditions = [
    conditionOf('Accepted', refusal),
    conditionOf('ResolvedRefs', plain(unresolvedBackends(route, grantedTo(parent, judging))[0])),
  ];
  if (invalid.length === 0 || refusal !== undefined) return conditions;
  const { reason, message } = invalid[0] ?? { reason: 'UnsupportedValue', message: '' };
  return [
    ...conditions,
    { type: 'PartiallyInvalid', status: 'True', reason, message: `Dropped Rule: ${message}` },
  ];
}

/** Why a route is not accepted at a parent: by the parent, or as none of its rules is carried out. */
export function notAccepted(
  route: ApiRoute,
  parent: ParentAttachment,
  judging: RouteJudging,
): Complaint | undefined {
  const refusal = refusalOf(route, parent, judging);
  if (refusal !== undefined) return refusal;
  const invalid = invalidRules(route);
  return invalid.length === rulesOf(route).length ? plain(invalid[0]) : undefined;
}

/** What references of a route to a parent are judged with. */
export function grantedTo(parent: ParentAttachment, judging: RouteJudging): RouteJudging {
  return isServiceParent(parent.reference) ? { ...judging, grants: NO_GRANT_NEEDED } : judging;
}

/** Why a parent does not accept a route. */
export function refusalOf(
  route: ApiRoute,
  parent: ParentAttachment,
  { services }: RouteJudging,
): Complaint | undefined {
  if (parent.refusal !== undefined || parent.services.length === 0) {
    const isLost = parent.refusal === undefined && parent.listeners.length === 0;
    return isLost
      ? {
          reason: 'NoMatchingParent',
          message: `there is no ${parent.reference.kind} ${parent.reference.name}`,
        }
      : parent.refusal;
  }
  return refusalOfService(route, parent.reference, services, parent.services);
}
