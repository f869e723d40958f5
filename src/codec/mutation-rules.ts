import { create } from '@bufbuild/protobuf';
import type { HeaderMutationRules } from '../model/mutation-rules.js';
import { mutationRules } from '../proto/xds.js';
import { onlyFields } from './field-guard.js';
import { decodeRegex, encodeRegex } from './matcher.js';
import { at, type Path } from './path.js';

const rulesFields = onlyFields(() => mutationRules.HeaderMutationRulesSchema, {
  enforced: [
    'allow_all_routing',
    'allow_envoy',
    'disallow_system',
    'disallow_all',
    'allow_expression',
    'disallow_expression',
    'disallow_is_error',
  ],
});

/** The rules. */
export function decodeMutationRules(
  message: mutationRules.HeaderMutationRules,
  path: Path,
): HeaderMutationRules {
  rulesFields(message, path);
  const { allowExpression, disallowExpression } = message;
  return {
    allowAllRouting: message.allowAllRouting ?? false,
    allowEnvoy: message.allowEnvoy ?? false,
    disallowSystem: message.disallowSystem ?? false,
    disallowAll: message.disallowAll ?? false,
    allowExpression: allowExpression && decodeRegex(allowExpression, at(path, 'allow_expression')),
    disallowExpression:
      disallowExpression && decodeRegex(disallowExpression, at(path, 'disallow_expression')),
    disallowIsError: message.disallowIsError ?? false,
  };
}

/** The rules as a message. */
export function encodeMutationRules(rules: HeaderMutationRules): mutationRules.HeaderMutationRules {
  const { allowExpression, disallowExpression, ...flags } = rules;
  const message = create(mutationRules.HeaderMutationRulesSchema, flags);
  if (allowExpression !== undefined) message.allowExpression = encodeRegex(allowExpression);
  if (disallowExpression !== undefined) message.disallowExpression = encodeRegex(disallowExpression);
  return message;
}
