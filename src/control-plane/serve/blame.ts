import type { EncodedResource } from './encoded-resource.js';

/** Characters of names: a name is meant only where no further one joins it. */
const NAME_CHARACTER = /[\w.~/-]/;

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
    const after = text.charAt(at + name.length);
    // A full stop may end the sentence.
    const isJoined =
      NAME_CHARACTER.test(after) &&
      !(after === '.' && !NAME_CHARACTER.test(text.charAt(at + name.length + 1)));
    if (!NAME_CHARACTER.test(before) && !isJoined) return true;
  }
  return false;
}
