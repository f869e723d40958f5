import type { HeaderAddition, HeaderRules } from '../../model/header-mutation.js';
import type { HttpHeaders } from '../kinds/types.js';

/** What a `headers` block of a VirtualService comes to. */
export interface HeaderOperations {
  /** Undefined = none. */
  readonly rules: HeaderRules | undefined;
  /** The host that `:authority` or `Host` was set to; undefined = unchanged. */
  readonly authority: string | undefined;
}

const NO_OPERATIONS: HeaderOperations = { rules: undefined, authority: undefined };

/** Istio (TranslateHeadersOperations): sets before adds, each by name; the authority is a rewrite of the host. */
export function compileHeaders(...blocks: readonly (HttpHeaders | undefined)[]): HeaderOperations {
  const given = blocks.filter((block) => block !== undefined);
  if (given.length === 0) return NO_OPERATIONS;
  const rules: HeaderRules = {
    request: { remove: removals(given, 'request'), add: additions(given, 'request') },
    response: { remove: removals(given, 'response'), add: additions(given, 'response') },
  };
  const { request, response } = rules;
  const isEmpty =
    request.add.length + request.remove.length + response.add.length + response.remove.length === 0;
  const authority = given.map(authorityOf).findLast((value) => value !== undefined);
  return { rules: isEmpty ? undefined : rules, authority };
}

type Side = 'request' | 'response';

function additions(blocks: readonly HttpHeaders[], side: Side): readonly HeaderAddition[] {
  return blocks.flatMap((block) => [
    ...sorted(block[side]?.set, 'overwrite-if-exists-or-add'),
    ...sorted(block[side]?.add, 'append-if-exists-or-add'),
  ]);
}

function sorted(
  values: Readonly<Record<string, string>> | undefined,
  action: HeaderAddition['action'],
): HeaderAddition[] {
  return Object.entries(values ?? {})
    .filter(([name]) => !isInternal(name))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => ({ name: name.toLowerCase(), value, action, keepEmpty: false }));
}

function removals(blocks: readonly HttpHeaders[], side: Side): readonly string[] {
  return blocks.flatMap((block) =>
    (block[side]?.remove ?? []).filter((name) => !isInternal(name)).map((name) => name.toLowerCase()),
  );
}

function authorityOf({ request }: HttpHeaders): string | undefined {
  const entry = [...Object.entries(request?.set ?? {}), ...Object.entries(request?.add ?? {})].find(
    ([name]) => isAuthority(name),
  );
  return entry?.[1];
}

const isAuthority = (name: string): boolean => /^(?::authority|host)$/i.test(name);

/** Istio drops what Envoy would refuse. */
const isInternal = (name: string): boolean => name.startsWith(':') || isAuthority(name);
