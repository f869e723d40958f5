import type { Ledger, Target } from './ledger.js';

/** Names one client may ask for; more is a fault or an attack. */
export const MAX_NAMES = 200_000;

/** A response in pieces, most of them shared with other clients. */
export type Outgoing = readonly Uint8Array[];

/** What a channel needs to make responses. */
export interface SendTools {
  /** Numbers the responses of a stream. */
  readonly sequence: () => number;
  readonly nowMs: number;
  /** How long resources of the type count for this client unless they are sent again. */
  readonly ttlMs?: number | undefined;
  /** Nothing that is gone is told of yet: something that the client has may still name it. */
  readonly keepsRemoved: boolean;
}

/**
 * One type on one stream: what the client asks for, and what is to be sent next. State of the world and delta differ in
 * nothing else.
 */
export interface Channel {
  readonly ledger: Ledger;
  /** The client asked for something that it must hear about, be it that there is nothing. */
  readonly owesAnswer: boolean;
  /** Something is to be sent although what there is did not change. */
  readonly hasNews: boolean;
  isDue(target: Target): boolean;
  /** The responses that are due; from now on the client counts as told. */
  take(target: Target, tools: SendTools): readonly Outgoing[];
  /** Says that what the client has is still there. */
  heartbeat(ttlMs: number, tools: Pick<SendTools, 'sequence' | 'nowMs'>): readonly Outgoing[];
}

/** What a request says about the responses before it. */
export type Outcome = 'ack' | 'nack' | 'subscribe' | 'stale';
