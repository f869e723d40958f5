import type { AccessLogFilter } from '../../model/access-log.js';

const COMPARISON = /^\s*(response\.code)\s*(==|!=|>=|<=|>|<)\s*(\d+)\s*$/;

/**
 * The filter that a condition of CEL means, as far as members can carry it out: comparisons of `response.code` with whole
 * numbers, joined by `&&` and `||`, without brackets. Undefined for an empty text; `undefined` also for others, which
 * `isLogFilter` tells apart.
 */
export function logFilterOf(expression: string | undefined): AccessLogFilter | undefined {
  if (expression === undefined || expression.trim() === '') return undefined;
  return joined('or', expression.split('||'), (part) => joined('and', part.split('&&'), comparison));
}

/** Whether members can carry a condition out. */
export function isLogFilter(expression: string | undefined): boolean {
  return expression === undefined || expression.trim() === '' || logFilterOf(expression) !== undefined;
}

function joined(
  kind: 'and' | 'or',
  parts: readonly string[],
  read: (part: string) => AccessLogFilter | undefined,
): AccessLogFilter | undefined {
  const filters = parts.map(read);
  const known = filters.filter((one) => one !== undefined);
  if (known.length < filters.length) return undefined;
  return known.length === 1 ? known[0] : { kind, filters: known };
}

function comparison(text: string): AccessLogFilter | undefined {
  const [, subject, operator, number] = COMPARISON.exec(text) ?? [];
  if (subject !== 'response.code' || number === undefined) return undefined;
  const value = Number(number);
  const of = (operator: 'eq' | 'ge' | 'le', value: number): AccessLogFilter => ({
    kind: 'status-code',
    operator,
    value,
  });
  switch (operator) {
    case '==':
      return of('eq', value);
    case '>=':
      return of('ge', value);
    case '<=':
      return of('le', value);
    case '>':
      return of('ge', value + 1);
    case '<':
      return of('le', value - 1);
    default:
      return { kind: 'or', filters: [of('le', value - 1), of('ge', value + 1)] };
  }
}
