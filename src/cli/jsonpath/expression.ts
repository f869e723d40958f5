import { type Filter, type Operator, type Path, type Slice, type Step, templateError } from './syntax.js';
import { unquoted } from './unquoted.js';

const NAME_END = /[\s.,[\]$@{}()=!<>&|'"]/;
const INDEX = /^\s*(-?\d*)\s*(?::\s*(-?\d*)\s*)?(?::\s*(-?\d*)\s*)?$/;
const OPERATOR = /[=!<>~&|]+/y;
const NUMBER = /[+-]?\d+(?:\.\d+)?/y;
/** A bare word. */
export const WORD = /[A-Za-z_]\w*/y;
const OPERATORS: readonly Operator[] = ['==', '!=', '<', '<=', '>', '>='];
const isOperator = (text: string): text is Operator => OPERATORS.some((one) => one === text);

/** Reads expressions of JSONPath out of a text, one after the other. */
export class ExpressionReader {
  readonly #source: string;
  /** Where it is read next. */
  at = 0;

  constructor(source: string) {
    this.#source = source;
  }

  /** An expression up to the end of the text. */
  whole(): Path {
    const path = this.path();
    if (this.at < this.#source.length) this.unexpected();
    if (path.length === 0) this.fail('no field is named', 'Write a path such as .metadata.name');
    return path;
  }

  /** Steps as long as there are some. */
  path(): Path {
    const path: Step[] = [];
    for (;;) {
      this.skipSpaces();
      const at = this.at;
      const next = this.#source[at];
      if (next === '@' || next === '$') this.at++;
      else if (next === '.') path.push(...this.#afterPoint(path.at(-1)));
      else if (next === '[') path.push(...this.#brackets());
      else if (next === '"' || next === "'") path.push({ type: 'literal', value: this.#quoted(), at });
      else {
        const value = this.#number() ?? this.#boolean();
        if (value === undefined) return path;
        path.push({ type: 'literal', value, at });
      }
    }
  }

  #afterPoint(before: Step | undefined): readonly Step[] {
    const at = this.at++;
    if (this.#source[this.at] === '.') {
      if (before?.type === 'recursive') this.fail('.. follows ..', 'One of them looks everywhere already');
      this.at++;
      const name = this.#name();
      return [{ type: 'recursive', at }, ...(name === '' ? [] : [stepOf(name, at)])];
    }
    const name = this.#name();
    if (name !== '') return [stepOf(name, at)];
    const next = this.#source[this.at];
    // `.` alone is what is there already.
    if (next === undefined || /[\s}[)]/.test(next)) return [];
    return this.fail(
      'a name is missing',
      "Write a field's name after the point, or ['name'] for one with other letters",
    );
  }

  /** A field's name; a backslash takes what follows into it. */
  #name(): string {
    let name = '';
    for (; this.at < this.#source.length; this.at++) {
      const letter = this.#source[this.at] ?? '';
      if (letter === '\\') name += this.#source[++this.at] ?? '';
      else if (NAME_END.test(letter)) break;
      else name += letter;
    }
    return name;
  }

  #brackets(): readonly Step[] {
    const at = this.at++;
    if (this.#source[this.at] === '?') return [{ type: 'filter', filter: this.#filter(at), at }];
    const branches: Path[] = [];
    branches.push(this.#subscript(at));
    while (this.#source[this.at] === ',') {
      this.at++;
      branches.push(this.#subscript(at));
    }
    if (this.#source[this.at] !== ']') this.#unclosed(at, ']');
    this.at++;
    const [only = []] = branches;
    return branches.length === 1 ? only : [{ type: 'union', branches, at }];
  }

  #subscript(openedAt: number): Path {
    this.skipSpaces();
    const at = this.at;
    const quote = this.#source[at];
    if (quote === "'" || quote === '"') {
      const path = this.#fieldsIn(this.#quotedRaw(), at);
      this.skipSpaces();
      return path;
    }
    const length = this.#source.slice(at).search(/[\],]/);
    if (length < 0)
      throw templateError(this.#source, openedAt, 'the bracket is not closed', 'Close it with ]');
    const text = this.#source.slice(at, at + length);
    if (text.trim() !== '*' && !INDEX.test(text))
      this.fail(`${JSON.stringify(text)} is no index`, 'Write a number, 1:3, *, ?(@.name=="a") or \'name\'');
    this.at += length;
    return [
      text.trim() === '*' ? { type: 'wildcard', at } : { type: 'slice', slice: this.#slice(text, at), at },
    ];
  }

  #slice(text: string, at: number): Slice {
    const [, from = '', to, step] = INDEX.exec(text) ?? [];
    const isOne = to === undefined;
    if (from === '' && isOne)
      throw templateError(this.#source, at, 'an index is missing', 'Write [0], [*] or [1:3]');
    const whole = (part: string | undefined) =>
      part === undefined || part === '' ? undefined : Number(part);
    const by = whole(step) ?? 1;
    if (by <= 0) throw templateError(this.#source, at, 'the step is not positive', 'Write a step from 1');
    return { from: whole(from), to: whole(to), step: by, isOne };
  }

  /** As kubectl reads them, a quoted name may be a path: `['metadata.name']`. */
  #fieldsIn(text: string, at: number): Path {
    const names = new ExpressionReader(text);
    const path: Step[] = [];
    do {
      path.push(stepOf(names.#nameInQuotes(), at));
    } while (names.#source[names.at++] === '.');
    return path;
  }

  #nameInQuotes(): string {
    let name = '';
    for (; this.at < this.#source.length && this.#source[this.at] !== '.'; this.at++) {
      if (this.#source[this.at] === '\\') this.at++;
      name += this.#source[this.at] ?? '';
    }
    return name;
  }

  #filter(openedAt: number): Filter {
    this.at++;
    if (this.#source[this.at++] !== '(') {
      this.at--;
      this.fail('a parenthesis is missing', 'Write a filter as [?(@.name=="a")]');
    }
    const left = this.path();
    const operatorAt = this.at;
    const operator = this.match(OPERATOR);
    if (operator !== undefined && !isOperator(operator)) {
      this.at = operatorAt;
      this.fail(
        `${operator} is no operator`,
        `A filter is one comparison, by ${OPERATORS.join(' ')}; for more take -o json and jq`,
      );
    }
    const right = operator === undefined ? [] : this.path();
    if (left.length === 0 || (operator !== undefined && right.length === 0))
      this.fail(
        'the filter compares nothing',
        'Write it as [?(@.name=="a")] or [?(@.name)]; texts stand in quotes',
      );
    if (this.#source[this.at] !== ')') this.#unclosed(openedAt, ')]');
    this.at++;
    if (this.#source[this.at] !== ']') this.#unclosed(openedAt, ']');
    this.at++;
    return operator === undefined ? { left } : { left, comparison: { operator, right } };
  }

  #number(): number | undefined {
    const text = this.match(NUMBER);
    return text === undefined ? undefined : Number(text);
  }

  #boolean(): boolean | undefined {
    const at = this.at;
    const word = this.match(WORD);
    if (word === 'true' || word === 'false') return word === 'true';
    this.at = at;
    return undefined;
  }

  #quoted(): string {
    const at = this.at;
    const text = unquoted(this.#quotedRaw());
    if (text !== undefined) return text;
    throw templateError(
      this.#source,
      at,
      'the text has an escape that there is not',
      'Known are \\n, \\t, \\\\, \\", \\x41, \\u00e9 and the like',
    );
  }

  /** What stands between quotes, its escapes as they are. */
  #quotedRaw(): string {
    const at = this.at;
    const quote = this.#source[at];
    let end = at + 1;
    while (end < this.#source.length && this.#source[end] !== quote)
      end += this.#source[end] === '\\' ? 2 : 1;
    if (end >= this.#source.length)
      throw templateError(this.#source, at, 'the text is not closed', `Close it with ${quote}`);
    this.at = end + 1;
    return this.#source.slice(at + 1, end);
  }

  /** What a sticky pattern finds here. */
  match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at;
    const [text] = pattern.exec(this.#source) ?? [];
    this.at += text?.length ?? 0;
    return text;
  }

  skipSpaces(): void {
    while (/\s/.test(this.#source[this.at] ?? '')) this.at++;
  }

  #unclosed(openedAt: number, end: string): never {
    if (this.at < this.#source.length) this.unexpected();
    throw templateError(this.#source, openedAt, 'the bracket is not closed', `Close it with ${end}`);
  }

  unexpected(): never {
    const next = this.#source[this.at] ?? '';
    const hint = /\w/.test(next)
      ? 'Fields begin with a point, texts stand in quotes'
      : "Letters of a field's name that have a meaning take a backslash: .metadata.labels.app\\.kubernetes\\.io/name";
    return this.fail(`${JSON.stringify(next)} is not expected`, hint);
  }

  /** Complains about what stands here. */
  fail(what: string, hint: string): never {
    throw templateError(this.#source, this.at, what, hint);
  }
}

function stepOf(name: string, at: number): Step {
  return name === '*' ? { type: 'wildcard', at } : { type: 'field', name, at };
}
