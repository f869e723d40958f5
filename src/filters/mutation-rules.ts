import type { HeaderMutationRules } from '../model/mutation-rules.js';
import { compileRegex } from '../routing/regex.js';

/** Whether a service may change or remove a header, by its name in lower case. */
export type MutationCheck = (name: string) => boolean;

const ROUTING: ReadonlySet<string> = new Set(['host', ':authority', ':scheme', ':method']);

/** Compiles the rules (Envoy HeaderMutationRules). Without rules everything may be changed. */
export function mutationCheck(rules: HeaderMutationRules | undefined): MutationCheck {
  if (rules === undefined) return () => true;
  const { allowExpression, disallowExpression } = rules;
  const allowed = allowExpression === undefined ? undefined : compileRegex(allowExpression);
  const disallowed = disallowExpression === undefined ? undefined : compileRegex(disallowExpression);
  return (name) => {
    if (rules.disallowAll || disallowed?.(name) === true) return false;
    if (allowed?.(name) === true) return true;
    if (rules.disallowSystem && name.startsWith(':')) return false;
    if (!rules.allowAllRouting && ROUTING.has(name)) return false;
    return rules.allowEnvoy || !name.startsWith('x-envoy');
  };
}
