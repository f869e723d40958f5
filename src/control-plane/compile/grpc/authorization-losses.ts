import { isPathTemplate } from '../../kinds/authorization-attributes.js';
import { DRY_RUN, isDryRun } from '../../kinds/authorization-policy.js';
import { valuesAt } from '../../kinds/values-at.js';
import type { Document, FieldPath } from '../../kinds/view.js';
import { isReservedForGrpc } from '../authorization/principals.js';

type Policy = Document<'AuthorizationPolicy'>;

/** A field that gRPC's own servers do not carry out as written, and what happens instead. */
type Loss = readonly [path: FieldPath, instead: string];

/** What gRPC's own servers (gRFC A41) do not carry out of a policy. */
export function authorizationLosses(policy: Policy): readonly Loss[] {
  if (isDryRun(policy)) return [[['metadata', 'annotations', DRY_RUN], 'nobody tries the policy out']];
  const { action = 'ALLOW' } = policy.spec;
  const at: FieldPath = ['spec', 'action'];
  if (action === 'AUDIT') return [[at, 'nothing is logged']];
  const custom: readonly Loss[] =
    action === 'CUSTOM' ? [[at, 'the provider is not asked, and what the rules match is refused']] : [];
  return [...custom, ...blind(policy, CONSEQUENCE[action]), ...otherAddresses(policy)];
}

/** What follows where a rule looks at something that these servers can't see; nobody gets in by that. */
const CONSEQUENCE = {
  ALLOW: 'the rule allows nobody',
  DENY: 'the rule denies by its other fields alone, which is more',
  CUSTOM: 'the rule refuses by its other fields alone, which is more',
} as const;

const UNSEEN: readonly string[] = ['from.*.source.requestPrincipals', 'from.*.source.notRequestPrincipals'];
const PATHS: readonly string[] = ['to.*.operation.paths.*', 'to.*.operation.notPaths.*'];
const REMOTE: readonly string[] = ['from.*.source.remoteIpBlocks', 'from.*.source.notRemoteIpBlocks'];

function blind(policy: Policy, instead: string): readonly Loss[] {
  const losses: Loss[] = [];
  for (const [value, path] of at(policy, UNSEEN)) {
    if (Array.isArray(value) && value.length > 0) losses.push([path, instead]);
  }
  for (const [value, path] of at(policy, PATHS)) {
    if (typeof value === 'string' && isPathTemplate(value)) losses.push([path, instead]);
  }
  for (const [key, path] of at(policy, ['when.*.key'])) {
    if (typeof key === 'string' && isUnseen(key)) losses.push([path, instead]);
  }
  return losses;
}

function isUnseen(key: string): boolean {
  return (
    key === 'connection.sni' ||
    key.startsWith('request.auth.') ||
    key.startsWith('experimental.') ||
    isReservedForGrpc(key)
  );
}

/** A41: `remote_ip` is the address of the connection. */
function otherAddresses(policy: Policy): readonly Loss[] {
  const instead = 'the address of the connection counts, not what headers say';
  const blocks = [...at(policy, REMOTE)].filter(([value]) => Array.isArray(value) && value.length > 0);
  const keys = [...at(policy, ['when.*.key'])].filter(([key]) => key === 'remote.ip');
  return [...blocks, ...keys].map(([, path]) => [path, instead]);
}

function* at({ spec }: Policy, paths: readonly string[]): Iterable<[unknown, FieldPath]> {
  for (const path of paths) yield* valuesAt(spec.rules, ['*', ...path.split('.')], ['spec', 'rules']);
}
