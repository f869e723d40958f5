/** What happened to whom, by whom: one line of the audit log. Never a secret: what identifies one is its id or hash. */
export interface AuditRecord {
  /** What was done or asked for, e.g. `workload.register`, `join-token.create`, `certificate.issue`. */
  readonly action: string;
  readonly outcome: 'allowed' | 'refused' | 'failed';
  /** Who did it: a SPIFFE ID, `issuer|subject`, the name of a token; absent when nobody vouches for the caller. */
  readonly actor?: string | undefined;
  /** Who vouches for the actor: `svid`, `join-token`, `oidc`, `kubernetes`, `bearer`, `loopback`. */
  readonly authenticator?: string | undefined;
  readonly role?: string | undefined;
  /** Address of the other end. */
  readonly peer?: string | undefined;
  /** What it was done to. */
  readonly target?: string | undefined;
  /** Why it was refused or failed: for operators, callers are told less. */
  readonly reason?: string | undefined;
  readonly details?: Readonly<Record<string, string | number | boolean>> | undefined;
}

/** Where mutations, issues and refusals are written down. */
export interface AuditLog {
  /**
   * Writes a record; resolves when it is on the disk. What must not happen unrecorded awaits this first.
   * @throws MeshError `INMESH_STORE_WRITE`.
   */
  record(record: AuditRecord): Promise<void>;
  /**
   * Writes a record that nobody waits for, such as a refusal. When more come than can be written, a line tells how many
   * were left out: callers who are refused must not fill memory or disk.
   */
  note(record: AuditRecord): void;
  /** Writes what is waiting. Idempotent. */
  close(): Promise<void>;
}

const MAX_TEXT = 1_024;

/** One line of JSON; callers choose some of the texts, so they are cut, and JSON keeps them on their line. */
export function auditLine(record: AuditRecord, sequence: number, atMs: number): string {
  const { action, outcome, actor, authenticator, role, peer, target, reason, details } = record;
  const line = {
    at: new Date(atMs).toISOString(),
    sequence,
    action,
    outcome,
    actor: cut(actor),
    authenticator,
    role,
    peer: cut(peer),
    target: cut(target),
    reason: cut(reason),
    details:
      details &&
      Object.fromEntries(
        Object.entries(details).map(([name, value]) => [
          name,
          typeof value === 'string' ? cut(value) : value,
        ]),
      ),
  };
  return `${JSON.stringify(line)}\n`;
}

function cut(text: string | undefined): string | undefined {
  return text === undefined || text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT)}…`;
}
