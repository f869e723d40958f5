import type { ResourceShortName } from '../../model/resource-short-name.js';

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
  readonly resources: number;
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
  /** The worst of its types. */
  readonly state: TypeStatus['state'];
  readonly types: readonly TypeStatus[];
}
