import { create } from '@bufbuild/protobuf';
import type { CorsPolicyConfig } from '../model/cors.js';
import { httpCors } from '../proto/xds.js';
import { onlyFields } from './field-guard.js';
import { decodeStringMatcher, encodeStringMatcher } from './matcher.js';
import { at, type Path } from './path.js';
import { decodeRuntimeFraction, encodeRuntimeFraction } from './percent.js';

const policyFields = onlyFields(() => httpCors.CorsPolicySchema, {
  enforced: [
    'allow_origin_string_match',
    'allow_methods',
    'allow_headers',
    'expose_headers',
    'max_age',
    'allow_credentials',
    'filter_enabled',
    'shadow_enabled',
    'allow_private_network_access',
    'forward_not_matching_preflights',
  ],
});

/** The CORS policy of a route or virtual host. */
export function decodeCorsPolicy(message: httpCors.CorsPolicy, path: Path): CorsPolicyConfig {
  policyFields(message, path);
  const { filterEnabled, shadowEnabled } = message;
  return {
    kind: 'cors-policy',
    allowOrigins: message.allowOriginStringMatch.map((one, index) =>
      decodeStringMatcher(one, at(path, 'allow_origin_string_match', index)),
    ),
    allowMethods: message.allowMethods,
    allowHeaders: message.allowHeaders,
    exposeHeaders: message.exposeHeaders,
    maxAge: message.maxAge,
    allowCredentials: message.allowCredentials,
    enabled: filterEnabled && decodeRuntimeFraction(filterEnabled, at(path, 'filter_enabled')),
    shadow: shadowEnabled && decodeRuntimeFraction(shadowEnabled, at(path, 'shadow_enabled')),
    allowPrivateNetworkAccess: message.allowPrivateNetworkAccess,
    forwardNotMatchingPreflights: message.forwardNotMatchingPreflights,
  };
}

/** The CORS policy as a message. */
export function encodeCorsPolicy(policy: CorsPolicyConfig): httpCors.CorsPolicy {
  const message = create(httpCors.CorsPolicySchema, {
    allowOriginStringMatch: policy.allowOrigins.map(encodeStringMatcher),
    allowMethods: policy.allowMethods,
    allowHeaders: policy.allowHeaders,
    exposeHeaders: policy.exposeHeaders,
    maxAge: policy.maxAge,
  });
  const { allowCredentials, allowPrivateNetworkAccess, forwardNotMatchingPreflights, enabled, shadow } =
    policy;
  if (allowCredentials !== undefined) message.allowCredentials = allowCredentials;
  if (allowPrivateNetworkAccess !== undefined) message.allowPrivateNetworkAccess = allowPrivateNetworkAccess;
  if (forwardNotMatchingPreflights !== undefined) {
    message.forwardNotMatchingPreflights = forwardNotMatchingPreflights;
  }
  if (enabled !== undefined) message.filterEnabled = encodeRuntimeFraction(enabled);
  if (shadow !== undefined) message.shadowEnabled = encodeRuntimeFraction(shadow);
  return message;
}
