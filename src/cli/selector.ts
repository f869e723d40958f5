import { MeshError } from '../runtime/errors.js';

type Labels = Readonly<Record<string, string>>;
type Condition = (labels: Labels) => boolean;

const KEY = String.raw`[\w./-]+`;
const SET = new RegExp(String.raw`^(${KEY})\s+(in|notin)\s*\(([^)]*)\)$`);
const EQUAL = new RegExp(String.raw`^(${KEY})\s*(==|=|!=)\s*([\w.-]*)$`);
const THERE = new RegExp(String.raw`^(!?)\s*(${KEY})$`);

/**
 * Labels as kubectl selects by them: `a=b`, `a!=b`, `a`, `!a`, `a in (b,c)`, `a notin (b,c)`; those with commas between
 * have to hold together.
 * @throws MeshError `INMESH_OPTION_INVALID`.
 */
export function selectorOf(texts: readonly string[]): Condition {
  const conditions = texts
    // Commas within parentheses part values.
    .flatMap((text) => text.split(/,(?![^(]*\))/))
    .map((text) => text.trim())
    .filter((text) => text !== '')
    .map(conditionOf);
  return (labels) => conditions.every((holds) => holds(labels));
}

function conditionOf(text: string): Condition {
  const [, setKey = '', word, list = ''] = SET.exec(text) ?? [];
  if (word !== undefined) {
    const values = new Set(list.split(',').map((value) => value.trim()));
    // Kubernetes: what has no such label is not in any set.
    return (labels) =>
      values.has(labels[setKey] ?? '') === (word === 'in') && (word === 'notin' || setKey in labels);
  }
  const [, key = '', sign, value = ''] = EQUAL.exec(text) ?? [];
  if (sign !== undefined) return (labels) => (labels[key] === value) === (sign !== '!=');
  const [, not = '', name] = THERE.exec(text) ?? [];
  if (name !== undefined) return (labels) => name in labels === (not === '');
  throw new MeshError('INMESH_OPTION_INVALID', `${JSON.stringify(text)} selects no labels`, {
    hint: "For example: app=reviews, app!=reviews, version, '!version', 'version in (v1,v2)'",
  });
}
