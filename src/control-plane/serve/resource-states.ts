import type { EncodedResource } from './encoded-resource.js';
import type { Ledger, Refusal } from './ledger.js';

/** How one client stands towards one resource. */
export interface ResourceState {
  readonly name: string;
  /** Undefined when it does not exist. */
  readonly resource: EncodedResource | undefined;
  readonly state: 'accepted' | 'unanswered' | 'refused' | 'absent';
  readonly refusal: Refusal | undefined;
}

/** Every resource that a client was told of, and the names that it asks for in vain. */
export function* resourceStates(ledger: Ledger): Generator<ResourceState> {
  const unanswered = new Map<string, EncodedResource>();
  for (const { resources } of ledger.outstanding) for (const one of resources) unanswered.set(one.name, one);
  for (const resource of ledger.toldResources()) {
    const { name } = resource;
    const refusal = ledger.refused.get(name);
    const state = refusal !== undefined ? 'refused' : unanswered.has(name) ? 'unanswered' : 'accepted';
    yield { name, resource, state, refusal };
  }
  for (const name of ledger.toldAbsent()) {
    yield { name, resource: undefined, state: 'absent', refusal: undefined };
  }
}
