import type { ResourceShortName } from '../../model/resource-short-name.js';
import type { Ledger } from './ledger.js';

/** How a client stands towards what it was sent of one type. */
export interface TypeStatus {
  readonly type: ResourceShortName;
  readonly state: 'SYNCED' | 'STALE' | 'NACKED' | 'NOT SENT';
  /** Version of the newest response. */
  readonly sent: string | undefined;
  /** Version that the client accepted last. */
  readonly accepted: string | undefined;
  /** What the client found wrong. */
  readonly error: string | undefined;
  /** Resources that the client should have. */
  readonly resources: number;
  /** Those that the client refused, as far as it said which. */
  readonly refused: readonly RefusedResource[];
}

/** A resource that a client refused. */
export interface RefusedResource {
  readonly name: string;
  readonly error: string;
  /** Calendar time in milliseconds. */
  readonly atMs: number;
}

/** One connected client, for status pages. */
export interface ClientStatus {
  readonly id: string;
  readonly service: string;
  readonly namespace: string;
  readonly version: string;
  /** Address of the client's end. */
  readonly peer: string;
  /** SPIFFE ID that its connection proved; undefined on plaintext. */
  readonly spiffeId: string | undefined;
  /** Calendar time in milliseconds. */
  readonly connectedAtMs: number;
  /** Newest revision of the configuration that it accepted everything of; -1 when there is none yet. */
  readonly applied: number;
  /** The worst of its types. */
  readonly state: TypeStatus['state'];
  readonly types: readonly TypeStatus[];
}

/** The status of one type of a client. */
export function channelStatus(ledger: Ledger): TypeStatus {
  return {
    type: ledger.type.short,
    state: stateOf(ledger),
    sent: ledger.sentVersion,
    accepted: ledger.acceptedVersion,
    error: ledger.error,
    resources: ledger.toldCount,
    refused: [...ledger.refused].map(([name, { error, atMs }]) => ({ name, error, atMs })),
  };
}

function stateOf({ sentVersion, outstanding, refused, error }: Ledger): TypeStatus['state'] {
  if (sentVersion === undefined) return 'NOT SENT';
  if (refused.size > 0 || (error !== undefined && outstanding.length === 0)) return 'NACKED';
  return outstanding.length > 0 ? 'STALE' : 'SYNCED';
}
