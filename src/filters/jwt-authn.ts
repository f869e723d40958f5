import type { FilterConfig } from '../model/filter-config.js';
import type { JwtAuthnConfig, JwtRule } from '../model/jwt-authn.js';
import { compileConditions } from '../routing/conditions.js';
import { compilePath, pathOf } from '../routing/match.js';
import { setDynamicMetadata } from '../service/dynamic-metadata.js';
import { localReply } from '../service/local-reply.js';
import type { Filter, Request, Response } from '../service/service.js';
import type { FilterTools } from './filter.js';
import type { Extracted } from './jwt/forward.js';
import { describeFailure, type JwtFailure } from './jwt/status.js';
import { createVerifier, Providers, type Verifier } from './jwt/verifier.js';

/** Namespace of what the filter writes to dynamic metadata. */
const NAMESPACE = 'envoy.filters.http.jwt_authn';

/** Envoy: so much of the path stands in a refusal. */
const MAX_URI_PATH = 256;

/**
 * JWT authentication (Envoy `envoy.filters.http.jwt_authn`): the first rule that matches says which tokens a request
 * needs; a route may name another requirement, or none.
 */
export function jwtAuthn(
  config: JwtAuthnConfig,
  layers: readonly FilterConfig[],
  tools: FilterTools,
): Filter | undefined {
  const override = layers.find((layer) => layer.kind === 'jwt-authn-route');
  if (override !== undefined && override.requirementName === undefined) return undefined;
  const compiled = compile(config, tools);
  const choose = override?.requirementName === undefined ? chooseByRule(compiled) : undefined;
  const named = compiled.named.get(override?.requirementName ?? '');
  if (choose === undefined && named === undefined) {
    return (request) =>
      Promise.resolve(unknownRequirement(request, override?.requirementName ?? '', compiled));
  }
  return (request, next) => {
    if (config.bypassCorsPreflight && isPreflight(request)) return next(request);
    const verifier = choose === undefined ? named : choose(request);
    return verifier === undefined ? next(request) : verify(request, verifier, config, next);
  };
}

async function verify(
  request: Request,
  verifier: Verifier,
  config: JwtAuthnConfig,
  next: (request: Request) => Promise<Response>,
): Promise<Response> {
  const uri = originalUri(request);
  const extracted: Extracted = {};
  const status = await verifier(request, extracted);
  if (Object.keys(extracted).length > 0) setDynamicMetadata(request.context, NAMESPACE, extracted);
  return status === 'ok' ? next(request) : refuse(request, status, uri, config.stripFailureResponse);
}

interface Compiled {
  readonly rules: readonly {
    readonly matches: (request: Request) => boolean;
    readonly verifier: Verifier | undefined;
  }[];
  readonly named: ReadonlyMap<string, Verifier>;
  readonly byState: { readonly key: string; readonly verifiers: ReadonlyMap<string, Verifier> } | undefined;
}

/** Routes of a listener share the keys and remembered tokens of its filter. */
const compiledByConfig = new WeakMap<JwtAuthnConfig, Compiled>();

function compile(config: JwtAuthnConfig, tools: FilterTools): Compiled {
  let compiled = compiledByConfig.get(config);
  if (compiled === undefined) {
    const providers = new Providers(config.providers, tools);
    const verifiersOf = (requirements: JwtAuthnConfig['requirementMap']) =>
      new Map([...requirements].map(([name, one]) => [name, createVerifier(one, providers)] as const));
    const named = verifiersOf(config.requirementMap);
    const { filterStateRules } = config;
    compiled = {
      rules: config.rules.map((rule) => ({
        matches: ruleTest(rule),
        verifier: verifierOf(rule, named, providers),
      })),
      named,
      byState: filterStateRules && {
        key: filterStateRules.name,
        verifiers: verifiersOf(filterStateRules.requires),
      },
    };
    compiledByConfig.set(config, compiled);
  }
  return compiled;
}

function ruleTest({ match }: JwtRule): (request: Request) => boolean {
  const testPath = compilePath(match.path);
  const testRest = compileConditions(match);
  return (request) => testPath(pathOf(request.path)) && testRest(request, request.context.random);
}

function verifierOf(
  { requires }: JwtRule,
  named: ReadonlyMap<string, Verifier>,
  providers: Providers,
): Verifier | undefined {
  if (requires === undefined) return undefined;
  return requires.kind === 'named' ? named.get(requires.name) : createVerifier(requires, providers);
}

function chooseByRule({ rules, byState }: Compiled): (request: Request) => Verifier | undefined {
  return (request) => {
    for (const { matches, verifier } of rules) if (matches(request)) return verifier;
    const state = byState && request.context.filterState?.get(byState.key);
    return typeof state === 'string' ? byState?.verifiers.get(state) : undefined;
  };
}

function isPreflight({ method, headers }: Request): boolean {
  return (
    method === 'OPTIONS' &&
    (headers.get('origin') ?? '') !== '' &&
    (headers.get('access-control-request-method') ?? '') !== ''
  );
}

function originalUri({ scheme, authority, path, headers }: Request): string {
  return `${scheme}://${authority}${(headers.get('x-envoy-original-path') ?? path).slice(0, MAX_URI_PATH)}`;
}

function refuse(request: Request, failure: JwtFailure, uri: string, isStripped: boolean): Response {
  const { text } = describeFailure(failure);
  const problem = failure === 'missing' ? '' : ', error="invalid_token"';
  return localReply(request, {
    status: failure === 'audience' ? 403 : 401,
    body: isStripped ? '' : text,
    details: detailsOf(text),
    reason: 'INMESH_JWT_DENIED',
    headers: isStripped ? [] : [['www-authenticate', `Bearer realm="${uri}"${problem}`]],
  });
}

function unknownRequirement(request: Request, name: string, { named }: Compiled): Response {
  const known = [...named.keys()].sort().join(',');
  const text = `Wrong requirement_name: ${name}. It should be one of [${known}]`;
  return localReply(request, {
    status: 403,
    body: `Failed JWT authentication: ${text}`,
    details: detailsOf(text),
    reason: 'INMESH_JWT_DENIED',
  });
}

/** Envoy: without spaces, so that it is one word of a log line. */
function detailsOf(text: string): string {
  return `jwt_authn_access_denied{${text.replaceAll(' ', '_')}}`;
}
