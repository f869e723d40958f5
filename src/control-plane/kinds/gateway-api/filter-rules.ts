import { entriesOf, type Report } from '../report.js';
import type { FieldPath } from '../view.js';
import { checkBackend, checkHeaderNames, checkUnique } from './common-rules.js';
import type {
  ApiCors,
  ApiGrpcFilter,
  ApiHeaderFilter,
  ApiHttpFilter,
  ApiMirror,
  ApiPathModifier,
} from './types.js';

/** The field that each type of filter has. */
const FIELDS = {
  RequestHeaderModifier: 'requestHeaderModifier',
  ResponseHeaderModifier: 'responseHeaderModifier',
  RequestMirror: 'requestMirror',
  RequestRedirect: 'requestRedirect',
  URLRewrite: 'urlRewrite',
  ExtensionRef: 'extensionRef',
  CORS: 'cors',
  ExternalAuth: 'externalAuth',
  DirectResponse: 'directResponse',
} as const satisfies Record<ApiHttpFilter['type'], keyof ApiHttpFilter>;

/** Those that a rule may have several times. */
const REPEATABLE: ReadonlySet<string> = new Set(['RequestMirror', 'ExtensionRef']);

/** The rules of the CRDs about a list of filters of an HTTPRoute or a GRPCRoute. */
export function checkFilters(
  filters: readonly (ApiHttpFilter | ApiGrpcFilter)[] | undefined,
  path: FieldPath,
  report: Report,
): void {
  checkUnique(filters, path, {
    keyOf: ({ type }) => (REPEATABLE.has(type) ? undefined : type),
    what: 'filter',
    report,
  });
  const types = new Set((filters ?? []).map(({ type }) => type as string));
  if (types.has('RequestRedirect') && types.has('URLRewrite')) {
    report.invalid(path, 'RequestRedirect and URLRewrite exclude each other');
  }
  for (const [filter, at] of entriesOf(filters, path)) checkFilter(filter, at, report);
}

function checkFilter(given: ApiHttpFilter | ApiGrpcFilter, path: FieldPath, report: Report): void {
  // A filter of a GRPCRoute has some of the fields of one of an HTTPRoute.
  const filter: ApiHttpFilter = given;
  for (const [type, field] of Object.entries(FIELDS)) {
    const isGiven = filter[field] !== undefined;
    if (isGiven && filter.type !== type)
      report.invalid([...path, field], `${field} is for the type ${type} only`);
    if (!isGiven && filter.type === type) report.invalid(path, `a filter of the type ${type} needs ${field}`);
  }
  checkHeaders(filter.requestHeaderModifier, [...path, 'requestHeaderModifier'], report);
  checkHeaders(filter.responseHeaderModifier, [...path, 'responseHeaderModifier'], report);
  checkMirror(filter.requestMirror, [...path, 'requestMirror'], report);
  checkPathModifier(filter.requestRedirect?.path, [...path, 'requestRedirect', 'path'], report);
  checkPathModifier(filter.urlRewrite?.path, [...path, 'urlRewrite', 'path'], report);
  checkCors(filter.cors, [...path, 'cors'], report);
  checkExternalAuth(filter.externalAuth, [...path, 'externalAuth'], report);
}

function checkExternalAuth(auth: ApiHttpFilter['externalAuth'], path: FieldPath, report: Report): void {
  if (auth === undefined) return;
  checkBackend(auth.backendRef, [...path, 'backendRef'], report);
  for (const [protocol, field] of [
    ['GRPC', 'grpc'],
    ['HTTP', 'http'],
  ] as const) {
    const isGiven = auth[field] !== undefined;
    if (isGiven && auth.protocol !== protocol)
      report.invalid([...path, field], `${field} is for the protocol ${protocol} only`);
    if (!isGiven && auth.protocol === protocol)
      report.invalid(path, `the protocol ${protocol} needs ${field}`);
  }
}

function checkHeaders(filter: ApiHeaderFilter | undefined, path: FieldPath, report: Report): void {
  checkHeaderNames(filter?.set, [...path, 'set'], report);
  checkHeaderNames(filter?.add, [...path, 'add'], report);
  checkUnique(filter?.remove, [...path, 'remove'], { keyOf: (name) => name, what: 'header', report });
}

function checkMirror(mirror: ApiMirror | undefined, path: FieldPath, report: Report): void {
  if (mirror === undefined) return;
  checkBackend(mirror.backendRef, [...path, 'backendRef'], report);
  const { percent, fraction } = mirror;
  if (percent !== undefined && fraction !== undefined)
    report.invalid(path, 'percent and fraction exclude each other');
  if (fraction !== undefined && fraction.numerator > fraction.denominator)
    report.invalid([...path, 'fraction'], 'the numerator must not be greater than the denominator');
}

function checkPathModifier(path: ApiPathModifier | undefined, at: FieldPath, report: Report): void {
  if (path === undefined) return;
  const fields = { ReplaceFullPath: 'replaceFullPath', ReplacePrefixMatch: 'replacePrefixMatch' } as const;
  for (const [type, field] of Object.entries(fields)) {
    const isGiven = path[field] !== undefined;
    if (isGiven && path.type !== type)
      report.invalid([...at, field], `${field} is for the type ${type} only`);
    if (!isGiven && path.type === type) report.invalid(at, `the type ${type} needs ${field}`);
  }
}

function checkCors(cors: ApiCors | undefined, path: FieldPath, report: Report): void {
  for (const field of ['allowOrigins', 'allowMethods', 'allowHeaders'] as const) {
    const list: readonly string[] = cors?.[field] ?? [];
    if (list.includes('*') && list.length > 1)
      report.invalid([...path, field], '"*" stands for all, so that nothing else is listed beside it');
    checkUnique(list, [...path, field], { keyOf: (one) => one, what: 'entry', report });
  }
}
