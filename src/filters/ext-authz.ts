import type { AuthzBody, ExtAuthzConfig, ExtAuthzRouteConfig } from '../model/ext-authz.js';
import type { FilterConfig } from '../model/filter-config.js';
import { ALWAYS } from '../model/percent.js';
import { compileMetadata } from '../routing/value-match.js';
import { readPrefix } from '../service/body-prefix.js';
import { setDynamicMetadata } from '../service/dynamic-metadata.js';
import { localReply } from '../service/local-reply.js';
import { changeHead } from '../service/response-head.js';
import type { Filter, Request, Response, Service } from '../service/service.js';
import { draws } from './draws.js';
import type { Authorize, AuthzContext } from './ext-authz/authorize.js';
import { changeRequest, isValidLine, responseChange } from './ext-authz/changes.js';
import type { AuthzAnswer, AuthzDecision } from './ext-authz/decision.js';
import { grpcAuthorizer } from './ext-authz/grpc-service.js';
import { httpAuthorizer } from './ext-authz/http-service.js';
import { DENIED, INVALID, refuse, UNANSWERED } from './ext-authz/refuse.js';
import type { SeenBody } from './ext-authz/request-view.js';
import { authzStats, chargeCluster } from './ext-authz/stats.js';
import type { FilterTools } from './filter.js';
import { mutationCheck } from './mutation-rules.js';
import { clearRouteCache } from './route-cache.js';

/** Namespace of what the service says as dynamic metadata. */
const NAMESPACE = 'envoy.filters.http.ext_authz';

/** A refusal without a word of the service. */
const NO_ANSWER: AuthzAnswer = { status: undefined, headers: [], body: '' };

/**
 * External authorization (Envoy `envoy.filters.http.ext_authz`): a service decides about each request, may change it, and
 * may change its answer. The most specific override decides whether it is asked, and about what; the context extensions of
 * all of them are sent along.
 */
export function extAuthz(
  config: ExtAuthzConfig,
  layers: readonly FilterConfig[],
  tools: FilterTools,
): Filter | undefined {
  const routes = layers.filter((layer) => layer.kind === 'ext-authz-route');
  if (routes[0] !== undefined && routes[0].settings === undefined) return undefined;
  const wantedBody = bodyOf(config, routes[0]);
  const extensions = extensionsOf(routes);
  const isEnabled = enabledTest(config, tools);
  const authorize = authorizerOf(config, tools);
  const act = actions(config, tools);
  const ask = async (request: Request, next: Service, body: SeenBody | undefined): Promise<Response> =>
    act.decided(request, next, await timed(authorize, request, { body, extensions }, tools));
  const judge = (request: Request, next: Service): Promise<Response> =>
    wantedBody !== undefined && hasBody(request)
      ? withBody(request, next, wantedBody, ask)
      : ask(request, next, undefined);
  return (request, next) => (isEnabled(request) ? judge(request, next) : act.disabled(request, next));
}

function authorizerOf(config: ExtAuthzConfig, tools: FilterTools): Authorize {
  const { service } = config;
  return service.kind === 'grpc'
    ? grpcAuthorizer(service, config, tools)
    : httpAuthorizer(service, config, tools);
}

function bodyOf(config: ExtAuthzConfig, route: ExtAuthzRouteConfig | undefined): AuthzBody | undefined {
  if (route?.settings?.disableBody === true) return undefined;
  const own = route?.settings?.body;
  // Envoy: the form is always that of the filter.
  return own === undefined ? config.body : { ...own, packAsBytes: config.body?.packAsBytes ?? false };
}

/** Envoy: those of more specific levels win. */
function extensionsOf(routes: readonly ExtAuthzRouteConfig[]): AuthzContext['extensions'] {
  const leastFirst = routes.toReversed();
  return Object.fromEntries(leastFirst.flatMap(({ settings }) => [...(settings?.contextExtensions ?? [])]));
}

function enabledTest(
  { enabled = ALWAYS, enabledMetadata }: ExtAuthzConfig,
  { random }: FilterTools,
): (request: Request) => boolean {
  const matches = enabledMetadata && compileMetadata(enabledMetadata);
  return ({ context }) =>
    draws(enabled, random) && (matches === undefined || matches(context.dynamicMetadata));
}

/** Envoy: what runs through an upgraded connection is no body. */
function hasBody({ body, context }: Request): boolean {
  return (
    context.upgrade === undefined && body.kind !== 'empty' && !(body.kind === 'native' && body.length === 0)
  );
}

/** Shows the service the beginning of the body; whoever comes next reads all of it. */
async function withBody(
  request: Request,
  next: Service,
  { maxBytes, allowPartial }: AuthzBody,
  ask: (request: Request, next: Service, body: SeenBody) => Promise<Response>,
): Promise<Response> {
  // Envoy: as soon as there are enough bytes the service is asked. Where the whole body must fit, one more tells.
  const prefix = await readPrefix(request.body, allowPartial ? maxBytes : maxBytes + 1);
  request.body = prefix.body;
  const { bytes, isComplete, close } = prefix;
  if (!allowPartial && bytes.byteLength > maxBytes) {
    close();
    return tooLarge(request);
  }
  const isAll = isComplete || bytes.byteLength === Number(request.headers.get('content-length'));
  const body = { bytes: bytes.subarray(0, maxBytes), isPartial: !isAll || bytes.byteLength > maxBytes };
  let goesOn = false;
  try {
    return await ask(
      request,
      (one) => {
        goesOn = true;
        return next(one);
      },
      body,
    );
  } finally {
    if (!goesOn) close();
  }
}

/** Envoy: the answer of a filter's buffer that is full. */
function tooLarge(request: Request): Response {
  return localReply(request, {
    status: 413,
    body: 'Payload Too Large',
    details: 'request_payload_too_large',
    reason: 'INMESH_AUTHZ_BODY_TOO_LARGE',
  });
}

interface Timed {
  readonly decision: AuthzDecision;
  readonly durationMs: number;
}

async function timed(
  authorize: Authorize,
  request: Request,
  context: AuthzContext,
  { clock }: FilterTools,
): Promise<Timed> {
  const startMs = clock.now();
  const decision = await authorize(request, context);
  return { decision, durationMs: clock.now() - startMs };
}

interface Actions {
  /** The filter is not enabled for the request. */
  readonly disabled: Filter;
  readonly decided: (request: Request, next: Service, timed: Timed) => Promise<Response>;
}

/** What follows from a decision. */
function actions(config: ExtAuthzConfig, tools: FilterTools): Actions {
  const { statusOnError, failureModeAllow, failureModeAllowHeaderAdd, validateMutations: validate } = config;
  const count = authzStats(config, tools);
  const charge = chargeCluster(config, tools);
  const rules = {
    check: config.mutationRules && mutationCheck(config.mutationRules),
    disallowIsError: config.mutationRules?.disallowIsError ?? false,
    validate,
  };
  const invalid = (request: Request) => {
    count('invalid');
    return refuse(request, INVALID, { ...NO_ANSWER, status: 500 });
  };
  const allow = (request: Request, next: Service, decision: Extract<AuthzDecision, { kind: 'ok' }>) => {
    if (!changeRequest(request, decision, rules)) return Promise.resolve(invalid(request));
    if (config.clearRouteCache === true && changesRequest(decision)) clearRouteCache(request);
    count('ok');
    const change = responseChange(decision);
    return change === undefined ? next(request) : changeHead(request, next, change);
  };
  const deny = (request: Request, decision: Extract<AuthzDecision, { kind: 'denied' }>) => {
    count('denied');
    charge(decision.status);
    return validate && !decision.headers.every(isValidLine)
      ? invalid(request)
      : refuse(request, DENIED, decision);
  };
  const fail = (
    request: Request,
    next: Service,
    { answer = NO_ANSWER }: Extract<AuthzDecision, { kind: 'error' }>,
  ) => {
    count('error');
    if (!failureModeAllow) {
      const status = answer.status ?? statusOnError;
      return Promise.resolve(
        validate && !answer.headers.every(isValidLine)
          ? invalid(request)
          : refuse(request, UNANSWERED, { ...answer, status }),
      );
    }
    count('failure_mode_allowed');
    if (failureModeAllowHeaderAdd) request.headers.set('x-envoy-auth-failure-mode-allowed', 'true');
    return next(request);
  };
  return {
    async disabled(request, next) {
      count('disabled');
      if (!config.denyAtDisable) return next(request);
      return refuse(request, UNANSWERED, { ...NO_ANSWER, status: statusOnError });
    },
    async decided(request, next, { decision, durationMs }) {
      // Nobody waits for an answer any more, so nobody gets one.
      if (request.abort.aborted) throw request.abort.reason;
      if (!takeMetadata(request, config, decision, durationMs)) count('ignored_dynamic_metadata');
      switch (decision.kind) {
        case 'ok':
          return allow(request, next, decision);
        case 'denied':
          return deny(request, decision);
        case 'error':
          return fail(request, next, decision);
      }
    },
  };
}

/** Whether the service asked for any change. */
function changesRequest(decision: Extract<AuthzDecision, { kind: 'ok' }>): boolean {
  const { set, add, setIfAbsent, setIfPresent, append, remove, queryToSet, queryToRemove } = decision;
  const lists = [set, add, setIfAbsent, setIfPresent, append, remove, queryToSet, queryToRemove];
  return lists.some(({ length }) => length > 0);
}

/** Takes over what the service says as dynamic metadata; false when that is not allowed. */
function takeMetadata(
  { context }: Request,
  { ingestMetadata }: ExtAuthzConfig,
  { metadata, kind }: AuthzDecision,
  durationMs: number,
): boolean {
  if (metadata === undefined || Object.keys(metadata).length === 0) return true;
  if (!ingestMetadata) return false;
  const duration = kind === 'ok' ? { ext_authz_duration: Math.floor(durationMs) } : undefined;
  setDynamicMetadata(context, NAMESPACE, { ...metadata, ...duration });
  return true;
}
