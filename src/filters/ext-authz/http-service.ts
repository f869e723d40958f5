import type { AuthzHttpService, ExtAuthzConfig } from '../../model/ext-authz.js';
import { bytesBody } from '../../service/body.js';
import { type CallAnswer, callService } from '../../service/call.js';
import { compileFormat } from '../../service/format/format.js';
import { formatToolsOf, inputOf } from '../../service/format/tools.js';
import { HeaderMap } from '../../service/headers.js';
import type { Request } from '../../service/service.js';
import type { FilterTools } from '../filter.js';
import type { Authorize } from './authorize.js';
import { type AuthzDecision, type HeaderLine, OK } from './decision.js';
import { NOT_SENT_ON } from './not-sent-on.js';
import { anyName, headersFor, type NameTest, type SeenBody, visibleHeaders } from './request-view.js';

/** Header of an answer that names headers to remove. */
const TO_REMOVE = 'x-envoy-auth-headers-to-remove';
const MAX_BYTES = 1024 * 1024;

/** Asks an authorization service over HTTP: the request without its body, or with the beginning of it. */
export function httpAuthorizer(
  service: AuthzHttpService,
  config: ExtAuthzConfig,
  tools: FilterTools,
): Authorize {
  const isVisible = visibleHeaders(config);
  const added = service.headersToAdd.map(({ name, value }) => ({
    name,
    format: compileFormat(value, formatToolsOf(tools.clock), ''),
  }));
  const read = answerReader(service);
  const { clock, random } = tools;
  return async (request, { body }) => {
    const upstream = tools.upstream(service.uri.cluster);
    if (upstream === undefined) return { kind: 'error' };
    const headers = requestHeaders(request, isVisible, body);
    const input = inputOf(request);
    for (const { name, format } of added) headers.set(name, format.text(input));
    try {
      const answer = await callService(
        upstream,
        {
          method: request.method,
          scheme: schemeOf(service.uri.uri),
          authority: request.authority,
          path: service.pathPrefix + request.path,
          headers,
          body: bytesBody(body?.bytes ?? ''),
          timeoutMs: service.uri.timeoutMs,
          maxBytes: MAX_BYTES,
        },
        { clock, random, abort: request.abort },
      );
      return read(answer);
    } catch {
      return { kind: 'error' };
    }
  };
}

function schemeOf(uri: string): string {
  return uri.toLowerCase().startsWith('https://') ? 'https' : 'http';
}

function requestHeaders(request: Request, isVisible: NameTest, body: SeenBody | undefined): HeaderMap {
  const headers = HeaderMap.empty();
  headers.append('content-length', String(body?.bytes.byteLength ?? 0));
  for (const [name, value] of headersFor(request, isVisible, body)) {
    if (!name.startsWith(':') && !NOT_SENT_ON.has(name)) headers.append(name, value);
  }
  return headers;
}

function answerReader(service: AuthzHttpService): (answer: CallAnswer) => AuthzDecision {
  const upstream = anyName(service.upstreamHeaders);
  const upstreamAppend = anyName(service.upstreamHeadersToAppend);
  const onSuccess = anyName(service.clientHeadersOnSuccess);
  const toMetadata = anyName(service.dynamicMetadataFromHeaders);
  const client = clientTest(service);
  return ({ status, headers, body }) => {
    if (status >= 500) return { kind: 'error' };
    const lines = [...headers].filter(([name]) => name !== TO_REMOVE);
    const some = (test: NameTest) => lines.filter(([name]) => test(name));
    const metadata = metadataOf(some(toMetadata));
    if (status !== 200) {
      const sentOn = some(client).filter(([name]) => !NOT_SENT_ON.has(name));
      return { kind: 'denied', status, headers: sentOn, body, metadata };
    }
    return {
      ...OK,
      set: some(upstream),
      add: some(upstreamAppend),
      remove: namesIn(headers.getAll(TO_REMOVE)),
      response: some(onSuccess).map((line) => ({ action: 'add', line })),
      metadata,
    };
  };
}

/** Envoy: what always goes to the caller when a list is given. */
const ALWAYS_TO_CLIENT: ReadonlySet<string> = new Set(['www-authenticate', 'location']);

function clientTest({ clientHeaders }: AuthzHttpService): NameTest {
  if (clientHeaders.length === 0) return (name) => name !== 'host';
  const test = anyName(clientHeaders);
  return (name) => test(name) || ALWAYS_TO_CLIENT.has(name);
}

function metadataOf(lines: readonly HeaderLine[]): Readonly<Record<string, unknown>> | undefined {
  return lines.length === 0 ? undefined : Object.fromEntries(lines);
}

function namesIn(values: readonly string[]): string[] {
  return values.flatMap((value) =>
    value
      .split(',')
      .map((name) => name.trim().toLowerCase())
      .filter((name) => name !== ''),
  );
}
