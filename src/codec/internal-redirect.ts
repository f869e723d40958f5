import { create } from '@bufbuild/protobuf';
import type { InternalRedirectPolicy, InternalRedirectPredicate } from '../model/redirect.js';
import { packAny } from '../proto/any.js';
import {
  redirectAllowListedRoutes as allowListed,
  type core,
  redirectPreviousRoutes as previous,
  route,
  redirectSafeCrossScheme as safe,
} from '../proto/xds.js';
import { decodeAny } from './codec.js';
import { extensionConfig } from './extension.js';
import { onlyFields } from './field-guard.js';
import { modifiable } from './header-mutation.js';
import { at, type Path, refuse, required } from './path.js';

const policyFields = onlyFields(() => route.InternalRedirectPolicySchema, {
  enforced: [
    'max_internal_redirects',
    'redirect_response_codes',
    'predicates',
    'allow_cross_scheme_redirect',
    'response_headers_to_copy',
  ],
});
const listedFields = onlyFields(() => allowListed.AllowListedRoutesConfigSchema, {
  enforced: ['allowed_route_names'],
});

const MAX_CODES = 5;
const REDIRECTS = [301, 302, 303, 307, 308];

/** The policy of redirects that are followed here. */
export function decodeInternalRedirect(
  policy: route.InternalRedirectPolicy,
  path: Path,
): InternalRedirectPolicy {
  policyFields(policy, path);
  const { redirectResponseCodes: codes } = policy;
  if (codes.length > MAX_CODES) refuse(at(path, 'redirect_response_codes'), 'must be at most five');
  return {
    maxRedirects: policy.maxInternalRedirects ?? 1,
    // Envoy: 302 by default; codes that are no redirect are ignored.
    codes: codes.length === 0 ? [302] : codes.filter((code) => REDIRECTS.includes(code)),
    predicates: policy.predicates.map((one, index) => decodePredicate(one, at(path, 'predicates', index))),
    allowCrossScheme: policy.allowCrossSchemeRedirect,
    copyHeaders: policy.responseHeadersToCopy.map((name, index) =>
      modifiable(name, at(path, 'response_headers_to_copy', index)),
    ),
  };
}

function decodePredicate(extension: core.TypedExtensionConfig, path: Path): InternalRedirectPredicate {
  const any = required(extension.typedConfig, at(path, 'typed_config'));
  const where = at(path, 'typed_config');
  const listed = decodeAny(allowListed.AllowListedRoutesConfigSchema, any, where);
  if (listed !== undefined) {
    listedFields(listed, where);
    return { kind: 'allow-listed-routes', routes: listed.allowedRouteNames };
  }
  if (decodeAny(previous.PreviousRoutesConfigSchema, any, where)) return { kind: 'previous-routes' };
  if (decodeAny(safe.SafeCrossSchemeConfigSchema, any, where)) return { kind: 'safe-cross-scheme' };
  return refuse(where, `the predicate ${JSON.stringify(any.typeUrl)} is not supported`);
}

/** The policy as a message. */
export function encodeInternalRedirect(policy: InternalRedirectPolicy): route.InternalRedirectPolicy {
  return create(route.InternalRedirectPolicySchema, {
    maxInternalRedirects: policy.maxRedirects,
    // An empty list would mean 302; one that is no redirect means none.
    redirectResponseCodes: policy.codes.length === 0 ? [300] : [...policy.codes],
    predicates: policy.predicates.map(encodePredicate),
    allowCrossSchemeRedirect: policy.allowCrossScheme,
    responseHeadersToCopy: [...policy.copyHeaders],
  });
}

const PREFIX = 'envoy.internal_redirect_predicates';

function encodePredicate(predicate: InternalRedirectPredicate): core.TypedExtensionConfig {
  switch (predicate.kind) {
    case 'allow-listed-routes': {
      const schema = allowListed.AllowListedRoutesConfigSchema;
      const message = create(schema, { allowedRouteNames: [...predicate.routes] });
      return extensionConfig(`${PREFIX}.allow_listed_routes`, packAny(schema, message));
    }
    case 'previous-routes': {
      const schema = previous.PreviousRoutesConfigSchema;
      return extensionConfig(`${PREFIX}.previous_routes`, packAny(schema, create(schema)));
    }
    case 'safe-cross-scheme': {
      const schema = safe.SafeCrossSchemeConfigSchema;
      return extensionConfig(`${PREFIX}.safe_cross_scheme`, packAny(schema, create(schema)));
    }
  }
}
