import type { z } from 'zod';
import { describeFinding } from '../analysis/finding.js';
import type { SentDocuments, SentDocumentsService, SentResult } from '../files/sent-documents.js';
import { hasError } from '../schema/violation.js';
import { describeViolation, invalid } from './describe-violation.js';
import { DOCUMENT_BODIES as BODIES, type Given, readSent, suppressionsOf } from './document-requests.js';
import type { AdminRequest, Answer } from './http.js';
import type { AdminRoute } from './route.js';

/** As much as all documents of a mesh may have, written as JSON strings. */
const MAX_BYTES = 12 * 1024 * 1024;

/** What the CLI tells of files, of documents that are sent along, or with `?with=stored` of these laid over what is in force. */
export const DOCUMENT_ROUTES: readonly AdminRoute[] = [
  about('/api/analyze', BODIES.analysis, async (documents, sent, asked) => {
    const { namespace: wanted, analyzers, suppress = [], istioNamespace } = asked;
    const suppressions = suppressionsOf(suppress);
    const found = await documents.analyze(sent, { analyzers, suppressions, istioNamespace });
    // What is in no namespace, or in no document, concerns every one.
    const own = found.filter(
      ({ namespace }) => wanted === undefined || namespace === '' || namespace === wanted,
    );
    return { status: 200, body: own.map(describeFinding) };
  }),
  about('/api/validate', BODIES.validation, (documents, sent, { strict }) => {
    const { violations, documents: count } = documents.validate(sent, strict);
    const body = {
      valid: !hasError(violations),
      documents: count,
      violations: violations.map(describeViolation),
    };
    return { status: 200, body };
  }),
  about('/api/compile', BODIES.compilation, async (documents, sent, { proxyPort, ...target }) =>
    answerTo(
      await documents.compile(sent, { ...target, ...(proxyPort !== undefined && { proxyPort }) }),
      ({ resources, losses }) => ({ ...resources, losses }),
    ),
  ),
  about('/api/explain', BODIES.explanation, async (documents, sent, query) =>
    answerTo(await documents.explain(sent, query), (explanation) => explanation),
  ),
  about('/api/compile/rbac', BODIES.filters, async (documents, sent, target) =>
    answerTo(await documents.compileAuthorization(sent, target), (compiled) => compiled),
  ),
  about('/api/authz/check', BODIES.authorization, async (documents, sent, query) =>
    answerTo(await documents.checkAuthorization(sent, query), (checked) => checked),
  ),
  about('/api/convert', BODIES.conversion, async (documents, sent, { to }) =>
    answerTo(await documents.convert(sent, to), (conversion) => conversion),
  ),
  about('/api/migrate/rbac', BODIES.migration, (documents, sent, { rootNamespace }) => {
    const { policies, losses } = documents.migrateRbac(sent, rootNamespace);
    return { status: 200, body: { documents: policies, losses } };
  }),
];

/** A question: it changes nothing, and is for everybody who may read. */
function about<T extends Given>(
  path: string,
  schema: z.ZodType<T>,
  answer: (
    documents: SentDocumentsService,
    sent: SentDocuments,
    asked: Omit<T, 'files' | 'objects'>,
  ) => Answer | Promise<Answer>,
): AdminRoute {
  return {
    method: 'POST',
    path,
    role: 'viewer',
    answer: async (request: AdminRequest, { documents, work }) => {
      const { sent, rest } = readSent(schema, await request.json(MAX_BYTES), request.query);
      return work.spend(() => answer(documents, sent, rest));
    },
  };
}

function answerTo<T>(result: SentResult<T>, bodyOf: (value: T) => object): Answer {
  if (!result.accepted) return invalid(result.violations);
  const warnings = result.warnings.map(describeViolation);
  return { status: 200, body: { ...bodyOf(result.result), warnings } };
}
