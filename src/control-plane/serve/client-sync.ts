import type { JsonValue } from '@bufbuild/protobuf';
import { SECRET_TYPE_URL } from '../../codec/secret.js';
import type { ResourceShortName } from '../../model/resource-short-name.js';
import { jsonOf, streamsOf } from './client-config.js';
import type { PublishedState } from './client-session.js';
import type { EncodedResource } from './encoded-resource.js';
import type { Ledger } from './ledger.js';
import { resourceStates } from './resource-states.js';
import type { Connected } from './xds-stream.js';

/** What one client holds, as far as it accepted it, against what the newest configuration has for it. */
export interface ClientSync {
  readonly id: string;
  /** Of the configuration that it is compared with. */
  readonly revision: number;
  /** Newest revision that it accepted everything of. */
  readonly applied: number;
  readonly isSynced: boolean;
  /** How many resources are the same on both sides. */
  readonly same: number;
  readonly differences: readonly ResourceDifference[];
}

/** A resource that a client lacks, has in another form, or has although it is gone. */
export interface ResourceDifference {
  readonly type: ResourceShortName;
  readonly name: string;
  readonly change: 'missing' | 'changed' | 'extra';
  /** Why: it refused it, has not answered yet, or was not sent it yet. */
  readonly reason: 'refused' | 'unanswered' | 'not sent';
  /** What it found wrong. */
  readonly error?: string;
  /** In Envoy's JSON; of secrets nothing. */
  readonly held?: JsonValue;
  readonly wanted?: JsonValue;
}

/** Compares a client with a state; undefined when there is no such client, or more than one. */
export function clientSync(
  connected: Iterable<Connected>,
  wanted: string,
  published: PublishedState,
): ClientSync | undefined {
  const found = streamsOf(connected, wanted);
  if (found === undefined) return undefined;
  const { id, streams } = found;
  const differences: ResourceDifference[] = [];
  let same = 0;
  for (const { session } of streams) {
    for (const [ledger, plan, own] of session.wanted(published)) {
      const target = new Map([...plan.resources, ...own.values()].map((one) => [one.name, one]));
      const compared = compare(ledger, target);
      differences.push(...compared.differences);
      same += compared.same;
    }
  }
  const applied = Math.min(...streams.map(({ session }) => session.applied));
  const { revision } = published;
  return { id, revision, applied, isSynced: differences.length === 0, same, differences };
}

interface Compared {
  readonly same: number;
  readonly differences: readonly ResourceDifference[];
}

function compare(ledger: Ledger, wanted: ReadonlyMap<string, EncodedResource>): Compared {
  const rest = new Map(wanted);
  const differences: ResourceDifference[] = [];
  let same = 0;
  for (const { name, resource, state, refusal } of resourceStates(ledger)) {
    if (resource === undefined) continue;
    const now = rest.get(name);
    rest.delete(name);
    const held = state === 'accepted' ? resource : ledger.heldBefore(name);
    if (held?.hash === now?.hash) {
      if (held !== undefined) same++;
      continue;
    }
    const reason = now?.hash !== resource.hash ? 'not sent' : state === 'refused' ? 'refused' : 'unanswered';
    const error = refusal === undefined ? {} : { error: refusal.error };
    differences.push({ ...difference(ledger, name, { held, now }), reason, ...error });
  }
  for (const [name, now] of rest)
    differences.push({ ...difference(ledger, name, { held: undefined, now }), reason: 'not sent' });
  return { same, differences };
}

interface Sides {
  readonly held: EncodedResource | undefined;
  readonly now: EncodedResource | undefined;
}

function difference(
  { type: { short, typeUrl } }: Ledger,
  name: string,
  { held, now }: Sides,
): Omit<ResourceDifference, 'reason'> {
  const change = held === undefined ? 'missing' : now === undefined ? 'extra' : 'changed';
  const isBare = typeUrl === SECRET_TYPE_URL;
  const shown = (one: EncodedResource | undefined) =>
    one === undefined || isBare ? undefined : jsonOf(typeUrl, one.bytes);
  const [before, after] = [shown(held), shown(now)];
  return {
    type: short,
    name,
    change,
    ...(before !== undefined && { held: before }),
    ...(after !== undefined && { wanted: after }),
  };
}
