import type { AuthzGrpcService, ExtAuthzConfig } from '../../model/ext-authz.js';
import { authService, core } from '../../proto/xds.js';
import type { FilterTools } from '../filter.js';
import { grpcClient } from '../grpc-client.js';
import type { Authorize } from './authorize.js';
import { checkRequest } from './check-request.js';
import {
  type AuthzAnswer,
  type AuthzDecision,
  type HeaderLine,
  OK,
  type ResponseAction,
} from './decision.js';
import { visibleHeaders } from './request-view.js';

const DEFAULT_TIMEOUT_MS = 200;
const DENIED_STATUS = 403;
const MIN_STATUS = 200;
const MAX_STATUS = 599;

/** Asks an authorization service over gRPC. */
export function grpcAuthorizer(
  { service }: AuthzGrpcService,
  config: ExtAuthzConfig,
  tools: FilterTools,
): Authorize {
  const isVisible = visibleHeaders(config);
  const method = {
    path: '/envoy.service.auth.v3.Authorization/Check',
    input: authService.CheckRequestSchema,
    output: authService.CheckResponseSchema,
    defaultTimeoutMs: DEFAULT_TIMEOUT_MS,
  };
  const check = grpcClient(service, method, tools);
  return async (request, context) => {
    try {
      return decisionOf(await check(checkRequest(request, context, config, isVisible, tools), request));
    } catch {
      return { kind: 'error' };
    }
  };
}

function decisionOf({ status, httpResponse, dynamicMetadata }: authService.CheckResponse): AuthzDecision {
  const metadata = dynamicMetadata;
  if ((status?.code ?? 0) === 0) {
    if (httpResponse.case !== 'okResponse') return { ...OK, metadata };
    return okOf(httpResponse.value, metadata);
  }
  switch (httpResponse.case) {
    case 'errorResponse':
      return { kind: 'error', answer: answerOf(httpResponse.value), metadata };
    case 'deniedResponse': {
      const answer = answerOf(httpResponse.value);
      return { kind: 'denied', ...answer, status: answer.status ?? DENIED_STATUS, metadata };
    }
    default:
      return { kind: 'denied', status: DENIED_STATUS, headers: [], body: '', metadata };
  }
}

/** A status that no answer can have counts as not set. */
function answerOf({ status, headers, body }: authService.DeniedHttpResponse): AuthzAnswer {
  const code: number = status?.code ?? 0;
  return {
    status: code >= MIN_STATUS && code <= MAX_STATUS ? code : undefined,
    headers: headers.map(lineOf),
    body,
  };
}

function okOf(
  ok: authService.OkHttpResponse,
  metadata: Readonly<Record<string, unknown>> | undefined,
): AuthzDecision {
  const by = (wanted: RequestAction) => ok.headers.filter((one) => requestAction(one) === wanted).map(lineOf);
  return {
    kind: 'ok',
    set: by('set'),
    setIfAbsent: by('add-if-absent'),
    setIfPresent: by('overwrite-if-exists'),
    add: [],
    append: by('append'),
    remove: ok.headersToRemove.map((name) => name.toLowerCase()),
    queryToSet: ok.queryParametersToSet.map(({ key, value }) => [key, value] as const),
    queryToRemove: ok.queryParametersToRemove,
    response: ok.responseHeadersToAdd.map((option) => ({ action: actionOf(option), line: lineOf(option) })),
    // Envoy: the older place goes before the newer one.
    metadata: ok.dynamicMetadata ?? metadata,
  };
}

type RequestAction = 'append' | 'set' | 'add-if-absent' | 'overwrite-if-exists';

/** Envoy: here `append` is false where it is not set, and so the first of the actions overwrites, too. */
function requestAction({ append, appendAction }: core.HeaderValueOption): RequestAction {
  if (append !== undefined) return append ? 'append' : 'set';
  const { ADD_IF_ABSENT, OVERWRITE_IF_EXISTS } = core.HeaderValueOption_HeaderAppendAction;
  if (appendAction === ADD_IF_ABSENT) return 'add-if-absent';
  return appendAction === OVERWRITE_IF_EXISTS ? 'overwrite-if-exists' : 'set';
}

function lineOf({ header }: core.HeaderValueOption): HeaderLine {
  const { key = '', value = '', rawValue } = header ?? {};
  const text = value === '' ? (rawValue ?? new Uint8Array()) : Buffer.from(value);
  return [key.toLowerCase(), Buffer.from(text).toString('latin1')];
}

function actionOf({ append, appendAction }: core.HeaderValueOption): ResponseAction {
  if (append !== undefined) return append ? 'add' : 'set';
  const { ADD_IF_ABSENT, OVERWRITE_IF_EXISTS, OVERWRITE_IF_EXISTS_OR_ADD } =
    core.HeaderValueOption_HeaderAppendAction;
  switch (appendAction) {
    case ADD_IF_ABSENT:
      return 'add-if-absent';
    case OVERWRITE_IF_EXISTS:
      return 'overwrite-if-exists';
    case OVERWRITE_IF_EXISTS_OR_ADD:
      return 'set';
    default:
      return 'add';
  }
}
