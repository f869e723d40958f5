import { create } from '@bufbuild/protobuf';
import type {
  JwtAuthnConfig,
  JwtAuthnRouteConfig,
  JwtProvider,
  JwtRequirement,
  JwtRule,
} from '../model/jwt-authn.js';
import { httpJwtAuthn as filter, wkt } from '../proto/xds.js';
import { onlyFields } from './field-guard.js';
import { decodeJwtProvider, encodeJwtProvider } from './jwt-provider.js';
import { at, atKey, type Path, refuse, required } from './path.js';
import { decodeRouteMatch, encodeRouteMatch } from './route-match.js';

const configFields = onlyFields(() => filter.JwtAuthenticationSchema, {
  enforced: [
    'providers',
    'rules',
    'filter_state_rules',
    'bypass_cors_preflight',
    'requirement_map',
    'strip_failure_response',
  ],
});
const ruleFields = onlyFields(() => filter.RequirementRuleSchema, {
  enforced: ['match', 'requires', 'requirement_name'],
});
const requirementFields = onlyFields(() => filter.JwtRequirementSchema, {
  enforced: [
    'provider_name',
    'provider_and_audiences',
    'requires_any',
    'requires_all',
    'allow_missing',
    'allow_missing_or_failed',
  ],
});
const routeFields = onlyFields(() => filter.PerRouteConfigSchema, {
  enforced: ['disabled', 'requirement_name'],
});

/** The JWT filter's configuration. */
export function decodeJwtAuthn(message: filter.JwtAuthentication, path: Path): JwtAuthnConfig {
  configFields(message, path);
  const providers = new Map<string, JwtProvider>();
  for (const [name, provider] of Object.entries(message.providers)) {
    providers.set(name, decodeJwtProvider(provider, atKey(path, 'providers', name)));
  }
  const decode = (requirement: filter.JwtRequirement, place: Path) =>
    decodeRequirement(requirement, providers, place);
  const requirementMap = decodeMap(message.requirementMap, path, 'requirement_map', decode);
  const { filterStateRules } = message;
  const statePath = at(path, 'filter_state_rules');
  if (filterStateRules?.name === '') refuse(at(statePath, 'name'), 'must not be empty');
  return {
    kind: 'jwt-authn',
    providers,
    rules: message.rules.map((rule, index) =>
      decodeRule(rule, { decode, requirementMap }, at(path, 'rules', index)),
    ),
    filterStateRules: filterStateRules && {
      name: filterStateRules.name,
      requires: decodeMap(filterStateRules.requires, statePath, 'requires', decode),
    },
    bypassCorsPreflight: message.bypassCorsPreflight,
    requirementMap,
    stripFailureResponse: message.stripFailureResponse,
  };
}

type Decode = (requirement: filter.JwtRequirement, path: Path) => JwtRequirement;

function decodeMap(
  messages: Readonly<Record<string, filter.JwtRequirement>>,
  path: Path,
  field: string,
  decode: Decode,
): ReadonlyMap<string, JwtRequirement> {
  return new Map(
    Object.entries(messages).map(([name, one]) => [name, decode(one, atKey(path, field, name))] as const),
  );
}

interface RuleTools {
  readonly decode: Decode;
  readonly requirementMap: ReadonlyMap<string, JwtRequirement>;
}

function decodeRule(
  message: filter.RequirementRule,
  { decode, requirementMap }: RuleTools,
  path: Path,
): JwtRule {
  ruleFields(message, path);
  const matchPath = at(path, 'match');
  const matchMessage = required(message.match, matchPath);
  // Envoy reads the path, headers and query parameters of these matches and nothing else.
  if (matchMessage.runtimeFraction !== undefined) {
    refuse(at(matchPath, 'runtime_fraction'), 'is not supported in rules of JWT');
  }
  if (matchMessage.grpc !== undefined) refuse(at(matchPath, 'grpc'), 'is not supported in rules of JWT');
  const match = decodeRouteMatch(matchMessage, matchPath);
  const { requirementType: type } = message;
  switch (type.case) {
    case 'requires':
      return { match, requires: decode(type.value, at(path, 'requires')) };
    case 'requirementName':
      if (!requirementMap.has(type.value)) {
        refuse(at(path, 'requirement_name'), `${JSON.stringify(type.value)} is not in requirement_map`);
      }
      return { match, requires: { kind: 'named', name: type.value } };
    default:
      return { match, requires: undefined };
  }
}

function decodeRequirement(
  message: filter.JwtRequirement,
  providers: ReadonlyMap<string, JwtProvider>,
  path: Path,
): JwtRequirement {
  requirementFields(message, path);
  const { requiresType: type } = message;
  const known = (name: string, place: Path) =>
    providers.has(name) ? name : refuse(place, `the provider ${JSON.stringify(name)} is not configured`);
  switch (type.case) {
    case 'providerName':
      return { kind: 'provider', name: known(type.value, at(path, 'provider_name')), audiences: [] };
    case 'providerAndAudiences': {
      const place = at(at(path, 'provider_and_audiences'), 'provider_name');
      return {
        kind: 'provider',
        name: known(type.value.providerName, place),
        audiences: type.value.audiences,
      };
    }
    case 'requiresAny':
    case 'requiresAll': {
      const [kind, field] =
        type.case === 'requiresAny' ? (['any', 'requires_any'] as const) : (['all', 'requires_all'] as const);
      const { requirements } = type.value;
      const place = at(path, field);
      if (requirements.length < 2) refuse(at(place, 'requirements'), 'needs at least two');
      return {
        kind,
        requirements: requirements.map((one, index) =>
          decodeRequirement(one, providers, at(place, 'requirements', index)),
        ),
      };
    }
    case 'allowMissing':
      return { kind: 'allow-missing' };
    case 'allowMissingOrFailed':
      return { kind: 'allow-missing-or-failed' };
    default:
      return { kind: 'none' };
  }
}

/** The JWT filter's configuration for a route. */
export function decodeJwtAuthnRoute(message: filter.PerRouteConfig, path: Path): JwtAuthnRouteConfig {
  routeFields(message, path);
  const { requirementSpecifier: specifier } = message;
  switch (specifier.case) {
    case 'disabled':
      if (!specifier.value) refuse(at(path, 'disabled'), 'must be true');
      return { kind: 'jwt-authn-route', requirementName: undefined };
    case 'requirementName':
      if (specifier.value === '') refuse(at(path, 'requirement_name'), 'must not be empty');
      return { kind: 'jwt-authn-route', requirementName: specifier.value };
    default:
      return refuse(path, 'needs disabled or requirement_name');
  }
}

/** The JWT filter's configuration as a message. */
export function encodeJwtAuthn(config: JwtAuthnConfig): filter.JwtAuthentication {
  const message = create(filter.JwtAuthenticationSchema, {
    providers: encodeMap(config.providers, encodeJwtProvider),
    rules: config.rules.map(encodeRule),
    bypassCorsPreflight: config.bypassCorsPreflight,
    requirementMap: encodeMap(config.requirementMap, encodeRequirement),
    stripFailureResponse: config.stripFailureResponse,
  });
  const { filterStateRules } = config;
  if (filterStateRules !== undefined) {
    message.filterStateRules = create(filter.FilterStateRuleSchema, {
      name: filterStateRules.name,
      requires: encodeMap(filterStateRules.requires, encodeRequirement),
    });
  }
  return message;
}

function encodeMap<T, M>(map: ReadonlyMap<string, T>, encode: (value: T) => M): Record<string, M> {
  return Object.fromEntries([...map].map(([name, value]) => [name, encode(value)]));
}

function encodeRule({ match, requires }: JwtRule): filter.RequirementRule {
  const message = create(filter.RequirementRuleSchema, { match: encodeRouteMatch(match) });
  if (requires?.kind === 'named') {
    message.requirementType = { case: 'requirementName', value: requires.name };
  } else if (requires !== undefined) {
    message.requirementType = { case: 'requires', value: encodeRequirement(requires) };
  }
  return message;
}

function encodeRequirement(requirement: JwtRequirement): filter.JwtRequirement {
  return create(filter.JwtRequirementSchema, { requiresType: encodeType(requirement) });
}

function encodeType(requirement: JwtRequirement): filter.JwtRequirement['requiresType'] {
  switch (requirement.kind) {
    case 'provider': {
      const { name, audiences } = requirement;
      if (audiences.length === 0) return { case: 'providerName', value: name };
      const value = create(filter.ProviderWithAudiencesSchema, {
        providerName: name,
        audiences: [...audiences],
      });
      return { case: 'providerAndAudiences', value };
    }
    case 'any': {
      const requirements = requirement.requirements.map(encodeRequirement);
      return { case: 'requiresAny', value: create(filter.JwtRequirementOrListSchema, { requirements }) };
    }
    case 'all': {
      const requirements = requirement.requirements.map(encodeRequirement);
      return { case: 'requiresAll', value: create(filter.JwtRequirementAndListSchema, { requirements }) };
    }
    case 'allow-missing':
      return { case: 'allowMissing', value: create(wkt.EmptySchema) };
    case 'allow-missing-or-failed':
      return { case: 'allowMissingOrFailed', value: create(wkt.EmptySchema) };
    case 'none':
      return { case: undefined };
  }
}

/** The JWT filter's configuration for a route as a message. */
export function encodeJwtAuthnRoute({ requirementName }: JwtAuthnRouteConfig): filter.PerRouteConfig {
  return create(filter.PerRouteConfigSchema, {
    requirementSpecifier:
      requirementName === undefined
        ? { case: 'disabled', value: true }
        : { case: 'requirementName', value: requirementName },
  });
}
