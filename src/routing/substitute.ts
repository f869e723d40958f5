import { RE2JS } from 're2js';
import type { RegexRewrite } from '../model/rewrite.js';

/** Replaces every match in a text. */
export type Substitution = (text: string) => string;

/** Compiles RE2 replace-all: `\1` is the first group, `\0` the whole match, `\\` a backslash. */
export function compileSubstitution({ pattern, substitution }: RegexRewrite): Substitution {
  const regex = RE2JS.compile(pattern);
  const parts = [...substitution.matchAll(/\\(\d)|\\(\\)|([^\\]+)/gs)].map(([, group, slash, text]) =>
    group === undefined ? (slash ?? text ?? '') : Number(group),
  );
  return (text) => {
    const matcher = regex.matcher(text);
    let out = '';
    let from = 0;
    while (matcher.find()) {
      out += text.slice(from, matcher.start());
      for (const part of parts) out += typeof part === 'number' ? (matcher.group(part) ?? '') : part;
      from = matcher.end();
    }
    return from === 0 && out === '' ? text : out + text.slice(from);
  };
}
