import type { z } from 'zod';
import type { RuleViolation } from '../schema/violation.js';
import type { ConfigView, Document, KindName } from './view.js';

/** What the control plane knows of one kind of document. */
export interface Kind<K extends KindName = KindName> {
  readonly name: K;
  /** The values of `apiVersion` under which the kind is read. */
  readonly apiVersions: readonly string[];
  /** The structure of `spec`. */
  readonly schema: z.ZodType;
  /** Whether what others have below `spec` stands beside `metadata`. Default false. */
  readonly isSpec?: boolean;
  /** The rules about one document that a schema cannot say (Istio: the checks of its admission webhook). */
  validate(document: Document<K>): readonly RuleViolation[];
  /** What the document refers to must exist in the view. */
  references?(document: Document<K>, view: ConfigView): readonly RuleViolation[];
}
