import type { HeaderMatcher } from '../model/matcher.js';
import { compileHeaderMatcher, compileString, type HeadPredicate, headerReader, pathOf } from './match.js';
import { canonicalPath, mergeSlashes, unescapeSlashes } from './normalize-path.js';

/** How rules read the parts of a request that can be written in several ways. */
export interface RbacReading {
  /** A test of a header, pseudo-headers included. */
  readonly header: (matcher: HeaderMatcher) => HeadPredicate;
  /** A test of the path without its query. */
  readonly path: (test: (path: string) => boolean) => HeadPredicate;
}

/** As Envoy does: each line of a header, and the path as it stands. */
export const EXACT: RbacReading = {
  header: compileHeaderMatcher,
  // Envoy: a request without a path (CONNECT) has none that could match.
  path:
    (test) =>
    ({ path }) =>
      path !== '' && test(pathOf(path)),
};

/**
 * As anybody behind may: each line, all of them joined, and each member of a list with commas; the host also without
 * port and final dot; the path also without parameters of segments, and with its slashes decoded and merged. Whatever a
 * rule matches by the exact reading it matches by this one, too.
 */
export const WIDE: RbacReading = {
  header(matcher) {
    const exact = compileHeaderMatcher(matcher);
    const { match, invert } = matcher;
    if (match.kind !== 'string') return exact;
    const name = matcher.name.toLowerCase();
    const test = compileString(match.matcher);
    const others = OTHER_FORMS[name] ?? membersOf(headerReader(name));
    return (head) => {
      const isMatch = exact(head) !== invert || others(head).some(test);
      return isMatch !== invert;
    };
  },
  path(test) {
    const exact = EXACT.path(test);
    return (head) => exact(head) || otherPaths(head.path).some(test);
  },
};

type Forms = (head: Parameters<HeadPredicate>[0]) => readonly string[];

const NONE: readonly string[] = [];

const OTHER_FORMS: Readonly<Record<string, Forms | undefined>> = Object.assign(Object.create(null), {
  ':authority': ({ authority }) => otherHosts(authority),
  host: ({ authority }) => otherHosts(authority),
  ':path': ({ path }) => otherPaths(path),
  ':method': () => NONE,
  ':scheme': () => NONE,
} satisfies Record<string, Forms>);

/** Several lines as one, and the members of lists (RFC 9110, 5.3). */
function membersOf(read: (head: Parameters<HeadPredicate>[0]) => readonly string[]): Forms {
  return (head) => {
    const lines = read(head);
    if (lines.length < 2 && !(lines[0]?.includes(',') ?? false)) return NONE;
    const members = lines.flatMap((line) => line.split(',').map((member) => member.trim()));
    return [lines.join(','), lines.join(', '), ...members];
  };
}

function otherHosts(authority: string): readonly string[] {
  const bare = authority.replace(/:\d*$/, '').replace(/\.$/, '').toLowerCase();
  return bare === authority ? NONE : [bare, authority.toLowerCase()];
}

/** Whether a path may be written otherwise, too; most are not. */
const UNUSUAL = /[;\\#]|\/\/|%(?:2f|5c|3b)/i;

function otherPaths(path: string): readonly string[] {
  const bare = pathOf(path);
  if (!UNUSUAL.test(bare)) return NONE;
  const decoded = unescapeSlashes(bare.replaceAll(/%3b/gi, ';'));
  const plain = decoded.replaceAll(/;[^/\\]*/g, '');
  const forms = [decoded, plain, bare.replaceAll(/;[^/]*/g, '')].map((form) =>
    mergeSlashes(canonicalPath(form) ?? form),
  );
  return [...new Set(forms)];
}
