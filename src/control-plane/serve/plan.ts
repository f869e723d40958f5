import type { EncodedResource, Framing, ResourceFault } from './encoded-resource.js';
import type { Interest } from './interest.js';
import { versionOf } from './resources.js';

/** gRPC clients take messages of 4 MB by default: a response that may be split is split long before that. */
const MAX_RESPONSE_BYTES = 2 * 1024 * 1024;

/** What a client has to hear to come from one state to another. Immutable, shared by all clients in the same position. */
export interface Plan {
  /** New and changed ones. */
  readonly resources: readonly EncodedResource[];
  /** It was told of them, and they are gone. */
  readonly removed: readonly string[];
  /** It asked for them expressly, and they are not there. */
  readonly absent: readonly string[];
  /** New and changed ones that can not be sent. */
  readonly broken: readonly ResourceFault[];
}

/** Nothing to hear. */
export const NO_PLAN: Plan = { resources: [], removed: [], absent: [], broken: [] };

const INTERNAL = 13;

/** Resources by name, to be encoded when they are needed. */
export interface Shelf {
  readonly resources: ReadonlyMap<string, object>;
  get(name: string): EncodedResource | undefined;
  /** Why it is there and can not be sent. */
  faultOf(name: string): string | undefined;
}

interface Before {
  readonly told: Shelf;
  readonly asked: Interest;
}

interface After {
  readonly to: Shelf;
  readonly asks: Interest;
}

/** Works a plan out. */
export function createPlan(before: Before, after: After): Plan {
  if (before.told === after.to && before.asked === after.asks) return NO_PLAN;
  const changed: string[] = [];
  const removed: string[] = [];
  const absent: string[] = [];
  for (const name of namesOf(before, after)) {
    const isNewlyNamed = after.asks.names.has(name) && !before.asked.names.has(name);
    const knew = knows(before, name);
    if (!after.to.resources.has(name)) {
      if (isNewlyNamed) absent.push(name);
      else if (knew) removed.push(name);
    } else if (isNewlyNamed || !knew || hasChanged(before, after, name)) changed.push(name);
  }
  const resources = changed.flatMap((name) => after.to.get(name) ?? []);
  const broken = resources.length === changed.length ? [] : faultsOf(after.to, changed);
  const isEmpty = resources.length + broken.length + removed.length + absent.length === 0;
  return isEmpty ? NO_PLAN : { resources, removed, absent, broken };
}

function faultsOf(shelf: Shelf, names: readonly string[]): readonly ResourceFault[] {
  return names.flatMap((name) => {
    const message = shelf.faultOf(name);
    return message === undefined ? [] : [{ name, code: INTERNAL, message }];
  });
}

/** Names that the client asks for, as far as there is, was, or should be something. */
function* namesOf({ told }: Before, { to, asks }: After): Generator<string> {
  if (!asks.isWildcard) {
    yield* asks.names;
    return;
  }
  yield* to.resources.keys();
  for (const name of told.resources.keys()) if (!to.resources.has(name)) yield name;
  for (const name of asks.names) if (!to.resources.has(name) && !told.resources.has(name)) yield name;
}

function knows({ told, asked }: Before, name: string): boolean {
  return (asked.isWildcard || asked.names.has(name)) && told.resources.has(name);
}

function hasChanged({ told }: Before, { to }: After, name: string): boolean {
  // Unchanged resources are the same objects, mostly; what was compiled anew may still be equal.
  return told.resources.get(name) !== to.resources.get(name) && told.get(name)?.hash !== to.get(name)?.hash;
}

const versions = new WeakMap<Plan, string>();

/** The version of what a plan brings, whatever the order. */
export function planVersion(plan: Plan): string {
  let version = versions.get(plan);
  if (version === undefined) {
    version = versionOf(plan.resources.toSorted((a, b) => (a.name < b.name ? -1 : 1)));
    versions.set(plan, version);
  }
  return version;
}

/** Resources that go out in one response, and how they are framed. */
export interface Part {
  readonly resources: readonly EncodedResource[];
  /** The bytes of the `resources` field. */
  fields(): Uint8Array;
}

const parts = new WeakMap<readonly EncodedResource[], Map<Framing, readonly Part[]>>();

/** The resources in responses of moderate size; `isWhole` where the protocol does not allow to split them. */
export function partsOf(
  resources: readonly EncodedResource[],
  framing: Framing,
  isWhole: boolean,
): readonly Part[] {
  let known = parts.get(resources);
  if (known === undefined) {
    known = new Map();
    parts.set(resources, known);
  }
  let made = known.get(framing);
  if (made === undefined) {
    const groups = isWhole ? [resources] : split(resources);
    made = groups.map((group) => createPart(group, framing));
    known.set(framing, made);
  }
  return made;
}

function createPart(resources: readonly EncodedResource[], framing: Framing): Part {
  let made: Uint8Array | undefined;
  let isShared = false;
  return {
    resources,
    fields() {
      if (made !== undefined) return made;
      const bytes = framing(resources);
      // Kept from the second time on: what only one client asks for would cost memory for nothing.
      if (isShared) made = bytes;
      isShared = true;
      return bytes;
    },
  };
}

function split(resources: readonly EncodedResource[]): readonly (readonly EncodedResource[])[] {
  const groups: EncodedResource[][] = [];
  let last: EncodedResource[] = [];
  let size = 0;
  for (const resource of resources) {
    if (last.length > 0 && size + resource.bytes.length > MAX_RESPONSE_BYTES) {
      groups.push(last);
      last = [];
      size = 0;
    }
    last.push(resource);
    size += resource.bytes.length;
  }
  if (last.length > 0) groups.push(last);
  return groups;
}
