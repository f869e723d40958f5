import type { EncodedResource } from './encoded-resource.js';

/** Characters of names: a name is meant only where no further one joins it. */
const NAME_CHARACTER = /[\w.~/|-]/;
/** They join parts of a name, but may also end a sentence or a heading. */
const PUNCTUATION = /[.:]/;

/**
 * The resources that a client's complaint is about: those it names, as Envoy and gRPC do. When it names none, any of
 * them may be meant.
 */
export function blamed(resources: readonly EncodedResource[], error: string): readonly EncodedResource[] {
  const named = resources.filter(({ name }) => mentions(error, name));
  return named.length === 0 ? resources : named;
}

function mentions(text: string, name: string): boolean {
  for (let at = text.indexOf(name); at >= 0; at = text.indexOf(name, at + 1)) {
    const before = text.charAt(at - 1);
    const end = at + name.length;
    const after = text.charAt(end);
    const isJoined = PUNCTUATION.test(after)
      ? NAME_CHARACTER.test(text.charAt(end + 1))
      : NAME_CHARACTER.test(after);
    if (!NAME_CHARACTER.test(before) && !isJoined) return true;
  }
  return false;
}
