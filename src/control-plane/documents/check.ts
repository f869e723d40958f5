import { WeakMemo } from '../../runtime/weak-memo.js';
import { findingsOf, KINDS_WITH_FINDINGS } from '../gateway-api/findings.js';
import { record } from '../kinds/derived.js';
import type { Kind } from '../kinds/kind.js';
import { KINDS } from '../kinds/kinds.js';
import { checkMetadata } from '../kinds/metadata-rules.js';
import type { Reads } from '../kinds/reads.js';
import type { ConfigView, KindName } from '../kinds/view.js';
import type { RuleViolation, Violation } from '../schema/violation.js';
import type { ConfigDocument } from './document.js';
import { findUnsupported } from './unsupported.js';

/** So many errors are enough to refuse; so many warnings are enough to read. */
const MAX_ERRORS = 500;
const MAX_WARNINGS = 500;

/** All complaints of the rules about documents that were read: of each one, between them, and about missing support. */
export function checkDocuments(
  documents: readonly ConfigDocument[],
  view: ConfigView,
  allowUnsupported: boolean,
): readonly Violation[] {
  const first = new Map<string, ConfigDocument>();
  const violations: Violation[] = [];
  let errors = 0;
  let warnings = 0;
  for (const document of documents) {
    const { rules, unsupported } = alone.get([document.spec], () => checkAlone(document));
    const found: RuleViolation[] = [...rules, ...checkReferences(document, view)];
    if (!allowUnsupported) found.push(...unsupported);
    const twin = first.get(document.key);
    if (twin === undefined) first.set(document.key, document);
    else found.push(duplicate(document, twin));
    for (const violation of found) {
      const isError = violation.severity === 'error';
      if (isError ? errors >= MAX_ERRORS : warnings >= MAX_WARNINGS) continue;
      violations.push(located.get([document, violation], () => document.locate(violation)));
      if (isError) errors++;
      else warnings++;
    }
    if (errors >= MAX_ERRORS) break;
  }
  return violations;
}

/** What is wrong with a document whatever others say. */
interface Alone {
  readonly rules: readonly RuleViolation[];
  readonly unsupported: readonly RuleViolation[];
}

/** By spec: it belongs to one document, which says the same as long as it is the same. */
const alone = new WeakMemo<Alone>();
const located = new WeakMemo<Violation>();

function checkAlone<K extends KindName>(document: ConfigDocument<K>): Alone {
  return {
    rules: [...checkMetadata(document), ...kindOf(document).validate(document)],
    unsupported: findUnsupported(document),
  };
}

const HAS_FINDINGS: ReadonlySet<KindName> = new Set(KINDS_WITH_FINDINGS);

/** What is wrong with the references of documents, and what was read to see it. */
const references = new WeakMap<
  object,
  { readonly reads: Reads<ConfigView>; readonly value: readonly RuleViolation[] }
>();

function checkReferences<K extends KindName>(
  document: ConfigDocument<K>,
  view: ConfigView,
): readonly RuleViolation[] {
  const { references: check } = kindOf(document);
  const hasFindings = HAS_FINDINGS.has(document.kind);
  if (check === undefined && !hasFindings) return NONE;
  const last = references.get(document.spec);
  if (last?.reads.hold(view) === true) return last.value;
  const made = record(view, (recorded) => [
    ...(check?.(document, recorded) ?? []),
    ...(hasFindings ? findingsOf(recorded, document) : []),
  ]);
  references.set(document.spec, made);
  return made.value;
}

const NONE: readonly RuleViolation[] = [];

/** What breaks no rule of Istio is a warning: what documents refer to may be elsewhere, and fields have an effect elsewhere. */
export function soften(violation: Violation): Violation {
  switch (violation.code) {
    case 'INMESH_CONFIG_REFERENCE':
    case 'INMESH_CONFIG_UNSUPPORTED':
      return { ...violation, severity: 'warning' };
    case 'INMESH_CONFIG_UNKNOWN_KIND':
      return { ...violation, severity: violation.suggestion === undefined ? 'warning' : 'error' };
    default:
      return violation;
  }
}

function kindOf<K extends KindName>({ kind }: ConfigDocument<K>): Kind<K> {
  // KINDS is indexed by the document's own kind.
  return KINDS[kind];
}

function duplicate(document: ConfigDocument, twin: ConfigDocument): RuleViolation {
  const { file, line } = twin.origin;
  return {
    code: 'INMESH_CONFIG_DUPLICATE',
    severity: 'error',
    message: `${document.kind} ${document.namespace}/${document.name} already stands at ${file}:${line}; keep one of them`,
    path: ['metadata', 'name'],
  };
}
