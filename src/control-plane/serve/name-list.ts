import { createHash } from 'node:crypto';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import { WILDCARD } from './interest.js';

/** The names of a state-of-the-world request, as they came and as they are meant. */
export interface NameList {
  readonly bytes: Uint8Array;
  readonly names: ReadonlySet<string>;
  readonly hasWildcard: boolean;
}

const EMPTY: NameList = { bytes: new Uint8Array(0), names: new Set(), hasWildcard: false };

/**
 * Every state-of-the-world request, each ACK too, lists all names that the client wants. Equal lists are read once: the
 * bytes are compared with those of the client's request before, then with those of other clients.
 */
export class NameListTable {
  readonly #known = new Map<string, WeakRef<NameList>>();
  readonly #forget = new FinalizationRegistry<string>((key) => {
    if (this.#known.get(key)?.deref() === undefined) this.#known.delete(key);
  });

  /** The list that encoded `resource_names` make. */
  read(bytes: Uint8Array, before: NameList | undefined): NameList {
    if (bytes.length === 0) return EMPTY;
    if (before !== undefined && Buffer.compare(before.bytes, bytes) === 0) return before;
    const key = createHash('sha1').update(bytes).digest('base64');
    const known = this.#known.get(key)?.deref();
    if (known !== undefined) return known;
    const names = new Set(stringsOf(bytes));
    const hasWildcard = names.delete(WILDCARD);
    // A copy: the message that they came in may go.
    const list: NameList = { bytes: bytes.slice(), names, hasWildcard };
    this.#known.set(key, new WeakRef(list));
    this.#forget.register(list, key);
    return list;
  }
}

function* stringsOf(bytes: Uint8Array): Generator<string> {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    reader.tag();
    yield reader.string();
  }
}
