import type { Exchange } from '../../service/context.js';
import type { BodyChange, HeadChange, ResponseChange, ResponseHead } from '../../service/head-change.js';

/** What filters do to the application's response just before its head is written. */
export interface AnswerChange {
  /** Changes the head, and tells how the body is to be changed, innermost first. */
  readonly change: (head: ResponseHead) => readonly BodyChange[];
  /** Whether it may be changed at all. */
  readonly changesBody: boolean;
}

/** The changes that filters left, innermost first, as one. */
export function answerChange({ headChanges, changesBody }: Exchange): AnswerChange | undefined {
  if (headChanges === undefined) return undefined;
  return {
    changesBody,
    change(head) {
      const bodies: BodyChange[] = [];
      for (let i = headChanges.length - 1; i >= 0; i--) {
        const body = changeOf(headChanges[i], head);
        if (body !== undefined) bodies.push(body);
      }
      return bodies;
    },
  };
}

/** Changes of the head alone give nothing that is of interest. */
function changeOf(
  change: HeadChange | ResponseChange | undefined,
  head: ResponseHead,
): BodyChange | undefined {
  const body = change?.(head);
  return typeof body === 'function' ? body : undefined;
}
