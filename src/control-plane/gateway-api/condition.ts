import type { FieldPath } from '../kinds/view.js';

/** One condition of a status, as Kubernetes writes it but for times. */
export interface Condition {
  /** `metadata.generation` of the object that it is about; undefined = the object has none. */
  readonly observedGeneration?: number;
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

/** A complaint with the place in the document that it is about. */
export interface PlacedComplaint extends Complaint {
  readonly path: FieldPath;
}

/** A complaint without its place. */
export function plain(complaint: Complaint | undefined): Complaint | undefined {
  return complaint && { reason: complaint.reason, message: complaint.message };
}

/** A condition that holds, or does not with the reason of a complaint. */
export function conditionOf(type: string, complaint: Complaint | undefined, reason = type): Condition {
  return complaint === undefined
    ? { type, status: 'True', reason, message: '' }
    : { type, status: 'False', ...complaint };
}
