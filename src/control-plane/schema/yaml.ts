import { Composer, Lexer, Parser, type YAMLError, type Document as YamlDocument } from 'yaml';
import type { MeshErrorCode } from '../../runtime/errors.js';
import type { ConfigLimits } from './limits.js';

/** Something wrong with a text itself, by its place in the text. */
export interface Problem {
  readonly code: MeshErrorCode;
  readonly message: string;
  readonly offset: number;
  readonly length: number;
}

/** A YAML document with the places of its nodes. */
export type Tree = YamlDocument.Parsed;

/** The documents of one text, and what is wrong with them. */
export interface Trees {
  readonly trees: readonly Tree[];
  readonly problems: readonly Problem[];
}

// The marks that the lexer puts before a scalar's text and at the start of a document (yaml: CST token types).
const SCALAR = '\u001f';
const DOCUMENT = '\u0002';
const STARTS_DOCUMENT = new Set([DOCUMENT, '---']);
const NESTING = new Map([
  ['[', 1],
  ['{', 1],
  [']', -1],
  ['}', -1],
]);
const VERSION_DIRECTIVE = /^%YAML +1\.2\b/;
const CONTROL_CHARACTER = /[^\P{Cc}\t\n\r\u0085]/u;

/**
 * Parses a text of YAML 1.2 (core schema; JSON is a part of it) as far as its caps allow.
 * Nothing is thrown: what is wrong comes back as problems.
 */
export function parseTrees(text: string, limits: ConfigLimits): Trees {
  const control = CONTROL_CHARACTER.exec(text);
  if (control !== null) {
    return { trees: [], problems: [problem('the text has a control character', control.index)] };
  }
  // Every error of the parser would capture a stack that nobody reads: without, a text full of errors is refused in a
  // quarter of the time (measured on 500,000 commas). Parsing is synchronous, so nobody else sees the setting.
  const depth = Error.stackTraceLimit;
  Reflect.set(Error, 'stackTraceLimit', 0);
  try {
    return compose(text, limits);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return {
      trees: [],
      problems: [problem(`nested deeper than ${limits.depth} levels`, 0, 'INMESH_CONFIG_TOO_LARGE')],
    };
  } finally {
    Reflect.set(Error, 'stackTraceLimit', depth);
  }
}

function compose(text: string, limits: ConfigLimits): Trees {
  const parser = new Parser();
  // Duplicate keys are looked for later in linear time; the composer compares every pair.
  const composer = new Composer({
    version: '1.2',
    uniqueKeys: false,
    prettyErrors: false,
    logLevel: 'silent',
  });
  const guard = createGuard(limits);
  const trees: Tree[] = [];
  for (const lexeme of new Lexer().lex(text)) {
    const refused = guard(lexeme, parser.offset);
    if (refused !== undefined) return { trees: [], problems: [refused] };
    for (const token of parser.next(lexeme)) trees.push(...composer.next(token));
  }
  for (const token of parser.end()) trees.push(...composer.next(token));
  trees.push(...composer.end());
  const problems: Problem[] = [];
  for (const tree of trees) {
    for (const error of [...tree.errors, ...tree.warnings]) {
      if (problems.length < limits.violations) problems.push(fromYaml(error));
    }
  }
  return { trees, problems };
}

/** Looks at one token after the other and refuses what is too much, before anything is built of it. */
function createGuard(limits: ConfigLimits): (lexeme: string, offset: number) => Problem | undefined {
  let tokens = 0;
  let documents = 0;
  let depth = 0;
  let isScalar = false;
  return (lexeme, offset) => {
    const wasScalar = isScalar;
    isScalar = lexeme === SCALAR;
    tokens++;
    if (!wasScalar) {
      documents += STARTS_DOCUMENT.has(lexeme) ? 1 : 0;
      depth += NESTING.get(lexeme) ?? 0;
      if (lexeme.startsWith('%') && !VERSION_DIRECTIVE.test(lexeme)) {
        return problem(`the directive ${JSON.stringify(lexeme.slice(0, 40))} is not allowed`, offset);
      }
    }
    if (tokens > limits.tokens) return tooLarge(`more than ${limits.tokens} tokens`, offset);
    if (documents > limits.documents) return tooLarge(`more than ${limits.documents} documents`, offset);
    return depth > limits.depth ? tooLarge(`nested deeper than ${limits.depth} levels`, offset) : undefined;
  };
}

function fromYaml(error: YAMLError): Problem {
  const [start, end] = error.pos;
  const message = error.message.replaceAll(/\s+/g, ' ').slice(0, 300);
  return { code: 'INMESH_CONFIG_SYNTAX', message, offset: start, length: Math.max(1, end - start) };
}

function tooLarge(message: string, offset: number): Problem {
  return problem(message, offset, 'INMESH_CONFIG_TOO_LARGE');
}

function problem(message: string, offset: number, code: MeshErrorCode = 'INMESH_CONFIG_SYNTAX'): Problem {
  return { code, message, offset, length: 1 };
}
