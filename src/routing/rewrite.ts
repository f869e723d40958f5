import type { PathMatcher } from '../model/matcher.js';
import { parseRewriteTemplate, templateRegExp } from '../model/path-template.js';
import type { HostRewrite, PathRewrite } from '../model/rewrite.js';
import type { RequestHead } from '../service/service.js';
import { pathOf } from './match.js';
import { compileSubstitution } from './substitute.js';

/** The new path, with query, of a request's path. */
export type PathChange = (path: string) => string;

/** Compiles a path rewrite of a route with the given path matcher. */
export function compilePathRewrite(matcher: PathMatcher, rewrite: PathRewrite): PathChange {
  switch (rewrite.kind) {
    case 'prefix':
      return replaceMatched(matcher, rewrite.value);
    case 'regex': {
      const substitute = compileSubstitution(rewrite.rewrite);
      return (path) => {
        const bare = pathOf(path);
        return substitute(bare) + path.slice(bare.length);
      };
    }
    case 'template':
      return compileTemplateRewrite(matcher, rewrite.template);
  }
}

/** Envoy: a prefix is replaced, anything else matched the whole path. No slash is added or taken away. */
function replaceMatched(matcher: PathMatcher, value: string): PathChange {
  if (matcher.kind === 'prefix' || matcher.kind === 'path-separated-prefix') {
    const { length } = matcher.value;
    return (path) => value + path.slice(length);
  }
  return (path) => value + path.slice(pathOf(path).length);
}

/** The decoder lets a template rewrite stand only next to a template match, and use only its variables. */
function compileTemplateRewrite(matcher: PathMatcher, template: string): PathChange {
  const parts = parseRewriteTemplate(template);
  if (matcher.kind !== 'template' || typeof parts === 'string') {
    throw new TypeError(`${JSON.stringify(template)} can't rewrite what a ${matcher.kind} matched`);
  }
  const regex = templateRegExp(matcher.template);
  return (path) => {
    const bare = pathOf(path);
    const matched = regex.exec(bare);
    // A filter changed the path after the route was chosen.
    if (matched === null) return path;
    const text = parts.map((part) => ('text' in part ? part.text : (matched.groups?.[part.variable] ?? '')));
    return text.join('') + path.slice(bare.length);
  };
}

/** The new host of a request; undefined or empty keeps the old one. */
export type HostChange = (head: RequestHead) => string | undefined;

/** Compiles a host rewrite; the one to the endpoint's name is done where the endpoint is known. */
export function compileHostRewrite(rewrite: HostRewrite): HostChange | undefined {
  switch (rewrite.kind) {
    case 'literal': {
      const { value } = rewrite;
      return () => value;
    }
    case 'header': {
      const { name } = rewrite;
      return ({ headers }) => headers.get(name);
    }
    case 'path-regex': {
      const substitute = compileSubstitution(rewrite.rewrite);
      return ({ path }) => substitute(pathOf(path));
    }
    case 'auto':
      return undefined;
  }
}
