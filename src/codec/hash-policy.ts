import { create } from '@bufbuild/protobuf';
import type { CookieAttribute, HashPolicy, HashSource } from '../model/hash-policy.js';
import { route } from '../proto/xds.js';
import { decodeOptionalDuration, encodeDuration } from './duration.js';
import { onlyFields } from './field-guard.js';
import { readableHeader } from './header-mutation.js';
import { at, type Path, refuse } from './path.js';
import { decodeRegexRewrite, encodeRegexRewrite } from './rewrite.js';

const cookieFields = onlyFields(() => route.RouteAction_HashPolicy_CookieSchema, {
  enforced: ['name', 'ttl', 'path', 'attributes'],
});

/** The hash policies; undefined when there are none. */
export function decodeHashPolicies(
  messages: readonly route.RouteAction_HashPolicy[],
  path: Path,
): readonly HashPolicy[] | undefined {
  const policies = messages.flatMap(({ policySpecifier, terminal }, index) => {
    const source = decodeSource(policySpecifier, at(path, 'hash_policy', index));
    return source === undefined ? [] : [{ source, terminal }];
  });
  return policies.length === 0 ? undefined : policies;
}

function decodeSource(
  specifier: route.RouteAction_HashPolicy['policySpecifier'],
  path: Path,
): HashSource | undefined {
  switch (specifier.case) {
    case 'header': {
      const { headerName: name, regexRewrite } = specifier.value;
      const where = at(path, 'header');
      return {
        kind: 'header',
        name: readableHeader(name, at(where, 'header_name')),
        rewrite: regexRewrite && decodeRegexRewrite(regexRewrite, at(where, 'regex_rewrite')),
      };
    }
    case 'cookie':
      return decodeCookie(specifier.value, at(path, 'cookie'));
    case 'connectionProperties':
      // Envoy: without the source IP there is nothing to hash.
      return specifier.value.sourceIp ? { kind: 'source-ip' } : undefined;
    case 'queryParameter':
      if (specifier.value.name === '') refuse(at(at(path, 'query_parameter'), 'name'), 'must not be empty');
      return { kind: 'query-parameter', name: specifier.value.name };
    case 'filterState':
      if (specifier.value.key === '') refuse(at(at(path, 'filter_state'), 'key'), 'must not be empty');
      return { kind: 'filter-state', key: specifier.value.key };
    default:
      return refuse(path, 'needs a policy specifier');
  }
}

function decodeCookie(message: route.RouteAction_HashPolicy_Cookie, path: Path): HashSource {
  cookieFields(message, path);
  if (message.name === '') refuse(at(path, 'name'), 'must not be empty');
  const ttlMs = decodeOptionalDuration(message.ttl, at(path, 'ttl'));
  return {
    kind: 'cookie',
    name: clean(message.name, at(path, 'name')),
    // Envoy: whole seconds.
    ttlSeconds: ttlMs === undefined ? undefined : Math.floor(ttlMs / 1000),
    path: clean(message.path, at(path, 'path')),
    attributes: message.attributes.map((one, index) => decodeAttribute(one, at(path, 'attributes', index))),
  };
}

function decodeAttribute(
  { name, value }: route.RouteAction_HashPolicy_CookieAttribute,
  path: Path,
): CookieAttribute {
  if (name === '') refuse(at(path, 'name'), 'must not be empty');
  return { name: clean(name, at(path, 'name')), value: clean(value, at(path, 'value')) };
}

function clean(text: string, path: Path): string {
  return /[\0\r\n]/.test(text) ? refuse(path, 'contains a control character') : text;
}

/** The hash policies as messages. */
export function encodeHashPolicies(
  policies: readonly HashPolicy[] | undefined,
): route.RouteAction_HashPolicy[] {
  return (policies ?? []).map(({ source, terminal }) =>
    create(route.RouteAction_HashPolicySchema, { policySpecifier: encodeSource(source), terminal }),
  );
}

function encodeSource(source: HashSource): route.RouteAction_HashPolicy['policySpecifier'] {
  switch (source.kind) {
    case 'header': {
      const value = create(route.RouteAction_HashPolicy_HeaderSchema, { headerName: source.name });
      if (source.rewrite !== undefined) value.regexRewrite = encodeRegexRewrite(source.rewrite);
      return { case: 'header', value };
    }
    case 'cookie': {
      const { name, path, attributes, ttlSeconds } = source;
      const value = create(route.RouteAction_HashPolicy_CookieSchema, {
        name,
        path,
        attributes: attributes.map((one) => create(route.RouteAction_HashPolicy_CookieAttributeSchema, one)),
      });
      if (ttlSeconds !== undefined) value.ttl = encodeDuration(ttlSeconds * 1000);
      return { case: 'cookie', value };
    }
    case 'source-ip': {
      const value = create(route.RouteAction_HashPolicy_ConnectionPropertiesSchema, { sourceIp: true });
      return { case: 'connectionProperties', value };
    }
    case 'query-parameter': {
      const value = create(route.RouteAction_HashPolicy_QueryParameterSchema, { name: source.name });
      return { case: 'queryParameter', value };
    }
    case 'filter-state': {
      const value = create(route.RouteAction_HashPolicy_FilterStateSchema, { key: source.key });
      return { case: 'filterState', value };
    }
  }
}
