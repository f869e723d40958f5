/** What an expression of a log filter says, as far as it is read: a part of CEL. */
export type LogExpression =
  | { readonly kind: 'and' | 'or'; readonly sides: readonly LogExpression[] }
  | { readonly kind: 'not'; readonly inner: LogExpression }
  | { readonly kind: 'has'; readonly subject: string }
  | {
      readonly kind: 'compare';
      readonly subject: string;
      readonly operator: CompareOperator;
      readonly value: Literal;
    }
  | { readonly kind: 'in'; readonly subject: string; readonly values: readonly Literal[] }
  | { readonly kind: 'call'; readonly subject: string; readonly method: string; readonly argument: string };

export type CompareOperator = '==' | '!=' | '<' | '<=' | '>' | '>=';

/** A number, a text, or `duration("1s")`. */
export type Literal = number | string | { readonly durationMs: number };

/** How deep brackets and negations nest at most. */
const MAX_DEPTH = 32;

const TOKEN =
  /\s*(?:(?<sign>&&|\|\||[=!<>]=|[<>!()[\],.])|(?<name>[A-Za-z_]\w*)|(?<number>\d{1,9})(?![\w.])|(?<text>"(?:[^"\\\n]|\\["'\\])*"|'(?:[^'\\\n]|\\["'\\])*'))/y;
const DURATION = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h)$/;
const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const OPERATORS: ReadonlyMap<string, CompareOperator> = new Map(
  (['==', '!=', '<', '<=', '>', '>='] as const).map((one) => [one, one]),
);
/** The same comparison with its sides changed. */
const TURNED: Readonly<Record<CompareOperator, CompareOperator>> = {
  '==': '==',
  '!=': '!=',
  '<': '>',
  '<=': '>=',
  '>': '<',
  '>=': '<=',
};

type Token = { readonly kind: 'sign' | 'name' | 'text'; readonly text: string } | number;

/** What is not read; nobody but `parseLogExpression` sees it. */
class NotRead extends Error {}

/** Reads an expression; undefined when it says something that is not read. */
export function parseLogExpression(text: string): LogExpression | undefined {
  try {
    return new Parser(tokensOf(text)).whole();
  } catch (error) {
    if (error instanceof NotRead) return undefined;
    throw error;
  }
}

function tokensOf(text: string): readonly Token[] {
  const tokens: Token[] = [];
  const end = text.trimEnd().length;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < end) {
    const { sign, name, number, text: quoted } = TOKEN.exec(text)?.groups ?? {};
    if (sign !== undefined) tokens.push({ kind: 'sign', text: sign });
    else if (name !== undefined) tokens.push({ kind: 'name', text: name });
    else if (number !== undefined) tokens.push(Number(number));
    else if (quoted !== undefined)
      tokens.push({ kind: 'text', text: quoted.slice(1, -1).replace(/\\(.)/g, '$1') });
    else throw new NotRead();
  }
  return tokens;
}

class Parser {
  readonly #tokens: readonly Token[];
  #next = 0;
  #depth = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  whole(): LogExpression {
    const expression = this.#joined('||');
    if (this.#next < this.#tokens.length) throw new NotRead();
    return expression;
  }

  #joined(sign: '||' | '&&'): LogExpression {
    const side = () => (sign === '||' ? this.#joined('&&') : this.#unary());
    const first = side();
    const sides = [first];
    while (this.#takes(sign)) sides.push(side());
    return sides.length === 1 ? first : { kind: sign === '||' ? 'or' : 'and', sides };
  }

  #unary(): LogExpression {
    if (++this.#depth > MAX_DEPTH) throw new NotRead();
    const expression = this.#takes('!') ? ({ kind: 'not', inner: this.#unary() } as const) : this.#primary();
    this.#depth--;
    return expression;
  }

  #primary(): LogExpression {
    if (this.#takes('(')) {
      const inner = this.#joined('||');
      this.#expect(')');
      return inner;
    }
    const token = this.#tokens[this.#next];
    if (typeof token === 'number' || token?.kind === 'text' || this.#isCall('duration'))
      return this.#turned();
    if (this.#isCall('has')) {
      this.#next += 2;
      const subject = this.#subject();
      this.#expect(')');
      return { kind: 'has', subject };
    }
    return this.#about(this.#subject());
  }

  /** What begins with a literal: a comparison the other way round, or the question for a header. */
  #turned(): LogExpression {
    const value = this.#literal();
    if (this.#takesName('in')) {
      if (typeof value !== 'string' || this.#subject() !== 'request.headers') throw new NotRead();
      return { kind: 'has', subject: headerSubject(value) };
    }
    const operator = this.#operator();
    return { kind: 'compare', subject: this.#subject(), operator: TURNED[operator], value };
  }

  #about(subject: string): LogExpression {
    if (this.#takes('(')) {
      const dot = subject.lastIndexOf('.');
      const argument = this.#literal();
      if (dot < 0 || typeof argument !== 'string') throw new NotRead();
      this.#expect(')');
      return { kind: 'call', subject: subject.slice(0, dot), method: subject.slice(dot + 1), argument };
    }
    if (!this.#takesName('in'))
      return { kind: 'compare', subject, operator: this.#operator(), value: this.#literal() };
    this.#expect('[');
    const values = [this.#literal()];
    while (this.#takes(',')) values.push(this.#literal());
    this.#expect(']');
    return { kind: 'in', subject, values };
  }

  /** `request.method`, `request.headers["name"]`; a method that is called is its last part. */
  #subject(): string {
    let subject = this.#name();
    for (;;) {
      if (this.#takes('.')) subject += `.${this.#name()}`;
      else if (subject === 'request.headers' && this.#takes('[')) {
        const name = this.#literal();
        if (typeof name !== 'string') throw new NotRead();
        this.#expect(']');
        subject = headerSubject(name);
      } else return subject;
    }
  }

  #literal(): Literal {
    if (this.#isCall('duration')) {
      this.#next += 2;
      const text = this.#literal();
      this.#expect(')');
      const [, amount, unit = ''] = typeof text === 'string' ? (DURATION.exec(text) ?? []) : [];
      const factor = UNITS[unit];
      if (amount === undefined || factor === undefined) throw new NotRead();
      return { durationMs: Math.round(Number(amount) * factor) };
    }
    const token = this.#tokens[this.#next++];
    if (typeof token === 'number') return token;
    if (token?.kind === 'text') return token.text;
    throw new NotRead();
  }

  #operator(): CompareOperator {
    const token = this.#tokens[this.#next++];
    const operator =
      typeof token === 'object' && token.kind === 'sign' ? OPERATORS.get(token.text) : undefined;
    if (operator === undefined) throw new NotRead();
    return operator;
  }

  #name(): string {
    const token = this.#tokens[this.#next++];
    if (typeof token !== 'object' || token.kind !== 'name') throw new NotRead();
    return token.text;
  }

  #isCall(name: string): boolean {
    return this.#is(this.#next, 'name', name) && this.#is(this.#next + 1, 'sign', '(');
  }

  #takes(sign: string): boolean {
    return this.#is(this.#next, 'sign', sign) && this.#next++ >= 0;
  }

  #takesName(name: string): boolean {
    return this.#is(this.#next, 'name', name) && this.#next++ >= 0;
  }

  #expect(sign: string): void {
    if (!this.#takes(sign)) throw new NotRead();
  }

  #is(index: number, kind: 'sign' | 'name', text: string): boolean {
    const token = this.#tokens[index];
    return typeof token === 'object' && token.kind === kind && token.text === text;
  }
}

/** A header as a subject. */
export function headerSubject(name: string): string {
  return `request.headers[${name.toLowerCase()}]`;
}
