import { create } from '@bufbuild/protobuf';
import type { HostRewrite, PathRewrite, RegexRewrite } from '../model/rewrite.js';
import { matcher, type route, wkt } from '../proto/xds.js';
import { onlyFields } from './field-guard.js';
import { headerName } from './header-mutation.js';
import { decodeRegex, encodeRegex } from './matcher.js';
import { at, type Path, refuse, required } from './path.js';
import { decodeTemplateRewrite, encodeTemplateRewrite } from './path-template.js';

const substituteFields = onlyFields(() => matcher.RegexMatchAndSubstituteSchema, {
  enforced: ['pattern', 'substitution'],
});
/** Names of the fields that are decoded here. */
export const REWRITE_FIELDS: readonly string[] = [
  'prefix_rewrite',
  'regex_rewrite',
  'path_rewrite_policy',
  'host_rewrite_literal',
  'host_rewrite_header',
  'host_rewrite_path_regex',
  'auto_host_rewrite',
  'append_x_forwarded_host',
];

/** Envoy `RegexMatchAndSubstitute`; the substitution may name groups of the pattern only. */
export function decodeRegexRewrite(message: matcher.RegexMatchAndSubstitute, path: Path): RegexRewrite {
  substituteFields(message, path);
  const pattern = decodeRegex(required(message.pattern, at(path, 'pattern')), at(path, 'pattern'));
  const { substitution } = message;
  if (/[\0\r\n]/.test(substitution)) refuse(at(path, 'substitution'), 'contains a control character');
  for (const [, escaped = ''] of substitution.matchAll(/\\(.?)/gs)) {
    if (!/[\d\\]/.test(escaped)) {
      refuse(at(path, 'substitution'), 'has a backslash that is not followed by a digit or a backslash');
    }
    if (/\d/.test(escaped) && Number(escaped) > groupCount(pattern)) {
      refuse(at(path, 'substitution'), `names group ${escaped}, which the pattern does not have`);
    }
  }
  return { pattern, substitution };
}

/** Capturing groups of a valid pattern. */
function groupCount(pattern: string): number {
  // An alternative that matches nothing, so every group is there and none has a value.
  const bare = pattern.replaceAll(/\\./gs, '').replaceAll(/\[\^?\]?[^\]]*\]/g, '');
  return [...bare.matchAll(/\((?!\?)|\(\?P?<(?![=!])/g)].length;
}

/** The regular expression with its substitution as a message. */
export function encodeRegexRewrite({ pattern, substitution }: RegexRewrite): matcher.RegexMatchAndSubstitute {
  return create(matcher.RegexMatchAndSubstituteSchema, { pattern: encodeRegex(pattern), substitution });
}

function cleanText(text: string, path: Path): string {
  return /[\0\r\n]/.test(text) ? refuse(path, 'contains a control character') : text;
}

/** The path rewrite of a route action; at most one may be given. */
export function decodePathRewrite(action: route.RouteAction, path: Path): PathRewrite | undefined {
  const { prefixRewrite, regexRewrite, pathRewritePolicy } = action;
  const given = [prefixRewrite !== '', regexRewrite !== undefined, pathRewritePolicy !== undefined];
  if (given.filter(Boolean).length > 1) {
    refuse(path, 'may have only one of prefix_rewrite, regex_rewrite and path_rewrite_policy');
  }
  if (prefixRewrite !== '') {
    return { kind: 'prefix', value: cleanText(prefixRewrite, at(path, 'prefix_rewrite')) };
  }
  if (regexRewrite !== undefined) {
    return { kind: 'regex', rewrite: decodeRegexRewrite(regexRewrite, at(path, 'regex_rewrite')) };
  }
  if (pathRewritePolicy === undefined) return undefined;
  return decodeTemplateRewrite(pathRewritePolicy, at(path, 'path_rewrite_policy'));
}

/** The host rewrite of a route action. */
export function decodeHostRewrite(
  specifier: route.RouteAction['hostRewriteSpecifier'],
  path: Path,
): HostRewrite | undefined {
  switch (specifier.case) {
    case 'hostRewriteLiteral':
      // Envoy: an empty text rewrites nothing.
      return specifier.value === ''
        ? undefined
        : { kind: 'literal', value: cleanText(specifier.value, at(path, 'host_rewrite_literal')) };
    case 'autoHostRewrite':
      return specifier.value.value ? { kind: 'auto' } : undefined;
    case 'hostRewriteHeader':
      return specifier.value === ''
        ? undefined
        : { kind: 'header', name: headerName(specifier.value, at(path, 'host_rewrite_header')) };
    case 'hostRewritePathRegex':
      return {
        kind: 'path-regex',
        rewrite: decodeRegexRewrite(specifier.value, at(path, 'host_rewrite_path_regex')),
      };
    default:
      return undefined;
  }
}

/** The host rewrite as the oneof of a route action. */
export function encodeHostRewrite(
  rewrite: HostRewrite | undefined,
): route.RouteAction['hostRewriteSpecifier'] {
  switch (rewrite?.kind) {
    case 'literal':
      return { case: 'hostRewriteLiteral', value: rewrite.value };
    case 'header':
      return { case: 'hostRewriteHeader', value: rewrite.name };
    case 'path-regex':
      return { case: 'hostRewritePathRegex', value: encodeRegexRewrite(rewrite.rewrite) };
    case 'auto':
      return { case: 'autoHostRewrite', value: create(wkt.BoolValueSchema, { value: true }) };
    default:
      return { case: undefined };
  }
}

/** Writes the path rewrite into a route action. */
export function encodePathRewrite(rewrite: PathRewrite | undefined, message: route.RouteAction): void {
  if (rewrite?.kind === 'prefix') message.prefixRewrite = rewrite.value;
  else if (rewrite?.kind === 'regex') message.regexRewrite = encodeRegexRewrite(rewrite.rewrite);
  else if (rewrite?.kind === 'template') message.pathRewritePolicy = encodeTemplateRewrite(rewrite.template);
}
