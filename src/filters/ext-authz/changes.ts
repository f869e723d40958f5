import type { HeadChange } from '../../service/head-change.js';
import type { HeaderMap } from '../../service/headers.js';
import type { Request } from '../../service/service.js';
import type { MutationCheck } from '../mutation-rules.js';
import type { AuthzDecision, HeaderLine, ResponseAction } from './decision.js';
import { changeQuery, isEncoded } from './query.js';

type Allowed = Extract<AuthzDecision, { kind: 'ok' }>;

/** What a service may do to requests. */
export interface ChangeRules {
  /** Undefined = it may change every header. */
  readonly check: MutationCheck | undefined;
  /** A header that it may not change fails the request. */
  readonly disallowIsError: boolean;
  /** So does a change that HTTP does not allow. */
  readonly validate: boolean;
}

/** Envoy: the changes to the headers, in this order. */
const STEPS: readonly (readonly [
  'set' | 'add' | 'setIfAbsent' | 'setIfPresent' | 'append',
  (request: Request, line: HeaderLine) => void,
])[] = [
  ['set', setLine],
  ['add', addLine],
  ['setIfAbsent', setIfAbsent],
  ['setIfPresent', setIfPresent],
  ['append', appendTo],
];

/** Makes the changes to a request that the service asks for; false when one of them fails the request. */
export function changeRequest(request: Request, decision: Allowed, rules: ChangeRules): boolean {
  if (rules.validate && !isValid(decision)) return false;
  for (const [kind, change] of STEPS) {
    for (const line of decision[kind]) {
      const name = line[0];
      if (rules.check !== undefined && !rules.check(name)) {
        if (rules.disallowIsError) return false;
      } else if (NAME.test(name)) change(request, line);
    }
  }
  if (!removeAll(request, decision.remove, rules)) return false;
  const { queryToSet, queryToRemove } = decision;
  if (queryToSet.length + queryToRemove.length > 0) {
    request.path = changeQuery(request.path, queryToSet, queryToRemove);
  }
  return true;
}

/** Names of HTTP, and pseudo-headers, in lower case. */
const NAME = /^:?[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const BREAKS = /[\0\r\n]/;
const BREAKS_ALL = /[\0\r\n]/g;

/** Whether HTTP allows a header. */
export function isValidLine([name, value]: HeaderLine): boolean {
  return NAME.test(name) && !BREAKS.test(value);
}

function isValid({ set, setIfAbsent, setIfPresent, add, append, response, queryToSet }: Allowed): boolean {
  return (
    [set, setIfAbsent, setIfPresent, add, append].every((lines) => lines.every(isValidLine)) &&
    response.every(({ line }) => isValidLine(line)) &&
    queryToSet.every(([key, value]) => isEncoded(key) && isEncoded(value))
  );
}

/** What the service says must not break the header block. */
export function safeValue(value: string): string {
  return BREAKS.test(value) ? value.replaceAll(BREAKS_ALL, '') : value;
}

function addLine({ headers }: Request, [name, value]: HeaderLine): void {
  if (!name.startsWith(':') && name !== 'host') headers.append(name, safeValue(value));
}

/** Envoy: only to what is there, in one line. */
function appendTo({ headers }: Request, [name, value]: HeaderLine): void {
  const lines = name === 'host' ? [] : headers.getAll(name);
  if (lines.length === 0) return;
  const [first = '', ...rest] = lines;
  headers.set(name, `${first},${safeValue(value)}`);
  for (const line of rest) headers.append(name, line);
}

function setIfAbsent(request: Request, line: HeaderLine): void {
  if (!has(request, line[0])) setLine(request, line);
}

function setIfPresent(request: Request, line: HeaderLine): void {
  if (has(request, line[0])) setLine(request, line);
}

function has({ headers }: Request, name: string): boolean {
  return PSEUDO.has(name) || headers.has(name);
}

/** The parts of a request that are no headers here. */
const PSEUDO = new Map<string, 'method' | 'path' | 'authority' | 'scheme'>([
  [':method', 'method'],
  [':path', 'path'],
  [':authority', 'authority'],
  ['host', 'authority'],
  [':scheme', 'scheme'],
]);

/** A pseudo-header is always there and has one value. Others than those of requests are passed over. */
function setLine(request: Request, [name, value]: HeaderLine): void {
  const field = PSEUDO.get(name);
  const text = safeValue(value);
  if (field === undefined) {
    if (!name.startsWith(':')) request.headers.set(name, text);
  } else if (text !== '') {
    request[field] = text;
    if (field === 'authority' && request.headers.has('host')) request.headers.set('host', text);
  }
}

/** Envoy: pseudo-headers and the host are never removed, or the request would be none. */
function removeAll({ headers }: Request, names: readonly string[], rules: ChangeRules): boolean {
  for (const name of names) {
    const isKept = name.startsWith(':') || name === 'host';
    if (rules.check !== undefined && (isKept || !rules.check(name))) {
      if (rules.disallowIsError) return false;
    } else if (!isKept) headers.delete(name);
  }
  return true;
}

/** The changes to the answer of a request that was let through; undefined when there are none. */
export function responseChange({ response }: Allowed): HeadChange | undefined {
  const changes = response.filter(({ line: [name] }) => NAME.test(name) && !name.startsWith(':'));
  if (changes.length === 0) return undefined;
  return ({ headers }) => {
    for (const { action, line } of changes) changeHeader(headers, action, line);
  };
}

function changeHeader(headers: HeaderMap, action: ResponseAction, [name, value]: HeaderLine): void {
  const text = safeValue(value);
  switch (action) {
    case 'add':
      headers.append(name, text);
      return;
    case 'set':
      headers.set(name, text);
      return;
    case 'add-if-absent':
      if (!headers.has(name)) headers.append(name, text);
      return;
    case 'overwrite-if-exists':
      if (headers.has(name)) headers.set(name, text);
  }
}
