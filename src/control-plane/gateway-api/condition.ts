/** One condition of a status, as Kubernetes writes it but for times and generations. */
export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
}

/** Why something is not as it should be; undefined where it is. */
export interface Complaint {
  readonly reason: string;
  readonly message: string;
}

/** A condition that holds, or does not with the reason of a complaint. */
export function conditionOf(type: string, complaint: Complaint | undefined, reason = type): Condition {
  return complaint === undefined
    ? { type, status: 'True', reason, message: '' }
    : { type, status: 'False', ...complaint };
}
