import { ExpressionReader, WORD } from './expression.js';
import { type Part, type Path, type Template, templateError } from './syntax.js';

/**
 * Reads a template of kubectl's JSONPath: text, and expressions in braces. What has no braces is one expression.
 * @throws MeshError `INMESH_OPTION_INVALID`, with the place.
 */
export function parseTemplate(source: string): Template {
  return {
    source,
    parts: source.includes('{')
      ? new TemplateReader(source).parts()
      : [{ type: 'values', path: new ExpressionReader(source).whole() }],
  };
}

/**
 * Reads one expression, as `--sort-by` and columns take them: in braces or not.
 * @throws MeshError `INMESH_OPTION_INVALID`, with the place.
 */
export function parseExpression(source: string): Template & { readonly path: Path } {
  const inner = /^\{(.*)\}$/.exec(source)?.[1] ?? source;
  // kubectl lets the first point be left out.
  const bare = /^\w/.test(inner) ? `.${inner}` : inner;
  const path = new ExpressionReader(bare).whole();
  return { source: bare, path, parts: [{ type: 'values', path }] };
}

/** What an action in braces is. */
type Action =
  | { readonly type: 'values' | 'range'; readonly path: Path; readonly at: number }
  | { readonly type: 'end'; readonly at: number };

class TemplateReader {
  readonly #source: string;
  readonly #reader: ExpressionReader;

  constructor(source: string) {
    this.#source = source;
    this.#reader = new ExpressionReader(source);
  }

  /** Parts up to the end of the range that starts at `rangeAt`, or of the template. */
  parts(rangeAt?: number): readonly Part[] {
    const parts: Part[] = [];
    while (this.#reader.at < this.#source.length) {
      const brace = this.#source.indexOf('{', this.#reader.at);
      const end = brace < 0 ? this.#source.length : brace;
      if (end > this.#reader.at) parts.push({ type: 'text', text: this.#source.slice(this.#reader.at, end) });
      this.#reader.at = end;
      if (brace < 0) break;
      const action = this.#action();
      if (action.type === 'end') {
        if (rangeAt !== undefined) return parts;
        throw templateError(
          this.#source,
          action.at,
          'there is no range to end',
          'Begin one: {range .items[*]}',
        );
      }
      const { type, path, at } = action;
      parts.push(type === 'range' ? { type, path, body: this.parts(at) } : { type, path });
    }
    if (rangeAt === undefined) return parts;
    throw templateError(
      this.#source,
      rangeAt,
      'the range has no end',
      'Write {end} after what is printed for each',
    );
  }

  #action(): Action {
    const at = this.#reader.at++;
    this.#reader.skipSpaces();
    const word = this.#reader.match(WORD);
    if (word === undefined || word === 'true' || word === 'false') {
      if (word !== undefined) this.#reader.at -= word.length;
      const path = this.#reader.path();
      this.#closeAction(at);
      return { type: 'values', path, at };
    }
    if (word === 'end') {
      this.#reader.skipSpaces();
      this.#closeAction(at);
      return { type: 'end', at };
    }
    if (word === 'range') {
      const path = this.#reader.path();
      this.#closeAction(at);
      return { type: 'range', path, at };
    }
    this.#reader.at -= word.length;
    return this.#reader.fail(
      `${JSON.stringify(word)} is no keyword`,
      'Fields begin with a point: .metadata.name; keywords are range and end',
    );
  }

  #closeAction(openedAt: number): void {
    const next = this.#source[this.#reader.at];
    if (next === undefined)
      throw templateError(this.#source, openedAt, 'the brace is not closed', 'Close it with }');
    if (next !== '}') this.#reader.unexpected();
    this.#reader.at++;
  }
}
