/**
 * Envoy's URI templates: `*` stands for one segment, `**` for any number of them, `{name}` and `{name=pattern}` for what
 * a rewrite may use.
 */

/** A part of a template. */
export type TemplatePart =
  | { readonly kind: 'text'; readonly text: string }
  /** One segment; not empty. */
  | { readonly kind: 'segment' }
  /** Any number of segments; may be empty. */
  | { readonly kind: 'rest' }
  | { readonly kind: 'variable'; readonly name: string; readonly parts: readonly TemplatePart[] };

const MAX_VARIABLES = 5;
const MAX_NAME_LENGTH = 16;

/** Characters of a path (RFC 3986 pchar but for `*`). */
const LITERAL = /^[a-zA-Z0-9\-._~%!$&'()+,;:@=]+$/;
const NAME = /^[a-zA-Z][a-zA-Z0-9_]*$/;
const SEGMENT = "[a-zA-Z0-9\\-._~%!$&'()+,;:@=*]+";
const REST = "[a-zA-Z0-9\\-._~%!$&'()+,;:@=*/]*";

/** The parts of a template, or why it is none. */
export function parseTemplate(template: string): readonly TemplatePart[] | string {
  if (!/^\/[\x21-\x7e]*$/.test(template)) return 'must start with "/" and have no spaces';
  const parts: TemplatePart[] = [];
  for (let at = 0; at < template.length; ) {
    const next = parsePart(template, at);
    if (typeof next === 'string') return next;
    parts.push(next.part);
    at = next.end;
  }
  return checkVariables(parts) ?? checkWildcards(parts) ?? checkSlashes(parts) ?? parts;
}

interface Parsed {
  readonly part: TemplatePart;
  readonly end: number;
}

function parsePart(template: string, at: number): Parsed | string {
  if (template.startsWith('**', at)) return { part: { kind: 'rest' }, end: at + 2 };
  if (template[at] === '*') return { part: { kind: 'segment' }, end: at + 1 };
  if (template[at] === '{') return parseVariable(template, at);
  return parseText(template, at);
}

/** A slash, or what stands before the next one or the next variable. */
function parseText(template: string, at: number): Parsed | string {
  if (template[at] === '/') return { part: { kind: 'text', text: '/' }, end: at + 1 };
  const text = /^[^/{]+/.exec(template.slice(at))?.[0] ?? '';
  if (!LITERAL.test(text)) return `has the text ${JSON.stringify(text)}, which no path may have`;
  return { part: { kind: 'text', text }, end: at + text.length };
}

function parseVariable(template: string, at: number): Parsed | string {
  const close = template.indexOf('}', at);
  if (close < 0) return 'has a bracket that is not closed';
  const inner = template.slice(at + 1, close);
  const equals = inner.indexOf('=');
  const name = equals < 0 ? inner : inner.slice(0, equals);
  if (!NAME.test(name)) return `has no valid variable name in ${JSON.stringify(inner)}`;
  const parts = equals < 0 ? [SEGMENT_PART] : parsePattern(inner.slice(equals + 1));
  return typeof parts === 'string' ? parts : { part: { kind: 'variable', name, parts }, end: close + 1 };
}

const SEGMENT_PART: TemplatePart = { kind: 'segment' };

/** What a variable matches: wildcards and texts, and after a wildcard a slash. */
function parsePattern(pattern: string): readonly TemplatePart[] | string {
  if (pattern === '') return 'has a variable with an empty pattern';
  const parts: TemplatePart[] = [];
  for (let at = 0; at < pattern.length; ) {
    const isAfterWildcard = parts.length > 0 && parts.at(-1)?.kind !== 'text';
    if (isAfterWildcard && pattern[at] !== '/') return 'lacks a slash after a wildcard in a variable';
    const next = pattern[at] === '*' ? parsePart(pattern, at) : parseText(pattern, at);
    if (typeof next === 'string') return next;
    parts.push(next.part);
    at = next.end;
  }
  return parts;
}

function checkVariables(parts: readonly TemplatePart[]): string | undefined {
  const names = variablesOf(parts);
  if (names.length > MAX_VARIABLES) return `has more than ${MAX_VARIABLES} variables`;
  const long = names.find((name) => name.length > MAX_NAME_LENGTH);
  if (long !== undefined) return `has a variable name of more than ${MAX_NAME_LENGTH} characters`;
  return new Set(names).size < names.length ? 'has a variable twice' : undefined;
}

/** The names of a template's variables. */
export function variablesOf(parts: readonly TemplatePart[]): readonly string[] {
  return parts.flatMap((part) => (part.kind === 'variable' ? [part.name] : []));
}

/** Envoy: `**` is the last wildcard; texts may follow. */
function checkWildcards(parts: readonly TemplatePart[]): string | undefined {
  const wildcards = parts
    .flatMap((part) => (part.kind === 'variable' ? part.parts : [part]))
    .filter(({ kind }) => kind !== 'text');
  const rest = wildcards.findIndex(({ kind }) => kind === 'rest');
  return rest >= 0 && rest < wildcards.length - 1 ? 'has a wildcard after "**"' : undefined;
}

function checkSlashes(parts: readonly TemplatePart[]): string | undefined {
  let wasSlash = false;
  for (const part of parts) {
    const first = part.kind === 'variable' ? part.parts[0] : part;
    const isSlash = first?.kind === 'text' && first.text === '/';
    if (wasSlash && isSlash) return 'has two slashes in a row';
    wasSlash = isSlash;
  }
  return undefined;
}

/**
 * A valid template as a regular expression with a group per variable. It is the platform's own: only one `**` can give
 * back what it took, so a match takes time linear in the path for each text after it.
 */
export function templateRegExp(template: string): RegExp {
  const parts = parseTemplate(template);
  if (typeof parts === 'string') throw new TypeError(`${JSON.stringify(template)} ${parts}`);
  return new RegExp(`^${sourceOf(parts)}$`);
}

function sourceOf(parts: readonly TemplatePart[]): string {
  return parts.map(partSource).join('');
}

function partSource(part: TemplatePart): string {
  switch (part.kind) {
    case 'text':
      return part.text.replaceAll(/[$().+]/g, String.raw`\$&`);
    case 'segment':
      return SEGMENT;
    case 'rest':
      return REST;
    case 'variable':
      return `(?<${part.name}>${sourceOf(part.parts)})`;
  }
}

/** A part of a rewrite template: text as it stands, or the name of a variable. */
export type RewritePart = { readonly text: string } | { readonly variable: string };

/** The parts of a rewrite template, or why it is none. */
export function parseRewriteTemplate(template: string): readonly RewritePart[] | string {
  if (!template.startsWith('/')) return 'must start with "/"';
  if (template.includes('//')) return 'has two slashes in a row';
  const parts: RewritePart[] = [];
  for (const [, variable, text] of template.matchAll(/\{([^}]*)\}|([^{]+|\{)/g)) {
    if (variable !== undefined) {
      if (!NAME.test(variable)) return 'has a brace that encloses no variable name';
      parts.push({ variable });
    } else if (text !== undefined) {
      if (text === '{') return 'has a brace that encloses no variable name';
      if (!/^[/a-zA-Z0-9\-._~%!$&'()+,;:@=]+$/.test(text)) return 'has a character that no path may have';
      parts.push({ text });
    }
  }
  return parts;
}
