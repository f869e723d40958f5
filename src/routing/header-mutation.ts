import type { HeaderAddition, HeaderMutations } from '../model/header-mutation.js';
import { type CompiledFormat, compileFormat } from '../service/format/format.js';
import type { FormatInput, FormatTools } from '../service/format/input.js';
import type { HeaderMap } from '../service/headers.js';

/** Changes the headers of a message in place. Without an input, values are taken as they are written. */
export type HeaderChange = (headers: HeaderMap, input: FormatInput | undefined) => void;

interface CompiledAddition {
  readonly addition: HeaderAddition;
  readonly format: CompiledFormat;
}

/**
 * Compiles sets of changes that are applied one after the other; undefined when they change nothing. Later sets win,
 * and see what earlier ones did.
 */
export function compileMutations(
  sets: readonly (HeaderMutations | undefined)[],
  tools: FormatTools,
): HeaderChange | undefined {
  const changes = sets.flatMap((set) =>
    set === undefined || set.add.length + set.remove.length === 0 ? [] : [compileSet(set, tools)],
  );
  const [first] = changes;
  if (first === undefined || changes.length === 1) return first;
  return (headers, input) => {
    for (const change of changes) change(headers, input);
  };
}

/** Envoy: all removals; then every value is read; then the overwrites; then the additions. */
function compileSet({ remove, add }: HeaderMutations, tools: FormatTools): HeaderChange {
  const additions = add.map((addition) => ({ addition, format: compileFormat(addition.value, tools, '') }));
  if (additions.length === 0) return (headers) => removeAll(headers, remove);
  return (headers, input) => {
    removeAll(headers, remove);
    const values = additions.map((one) => resolveValue(one, input));
    for (const overwrites of [true, false]) {
      for (let i = 0; i < additions.length; i++) {
        const value = values[i];
        const addition = additions[i]?.addition;
        if (value === undefined || addition === undefined) continue;
        if (addition.action.startsWith('overwrite') === overwrites) write(headers, addition, value);
      }
    }
  };
}

function removeAll(headers: HeaderMap, names: readonly string[]): void {
  for (const name of names) headers.delete(name);
}

/** Undefined when the value turned out empty and empty ones are left out. */
function resolveValue(
  { addition, format }: CompiledAddition,
  input: FormatInput | undefined,
): string | undefined {
  const value = format.constant ?? (input === undefined ? addition.value : format.text(input));
  if (value === '' && !addition.keepEmpty) return undefined;
  // What a caller or a filter put into a value must not break the header block.
  return BREAKS.test(value) ? value.replaceAll(BREAKS_ALL, '') : value;
}

const BREAKS = /[\0\r\n]/;
const BREAKS_ALL = /[\0\r\n]/g;

/** Writes one value as its action says. */
function write(headers: HeaderMap, { name, action }: HeaderAddition, value: string): void {
  switch (action) {
    case 'append-if-exists-or-add':
      headers.append(name, value);
      return;
    case 'add-if-absent':
      if (!headers.has(name)) headers.append(name, value);
      return;
    case 'overwrite-if-exists-or-add':
      headers.set(name, value);
      return;
    case 'overwrite-if-exists':
      if (headers.has(name)) headers.set(name, value);
  }
}

/** The order in which sets are applied: weighted cluster, route, virtual host, table; the last wins. */
export function orderMutations<T>(mostSpecificFirst: readonly T[], mostSpecificWins: boolean): readonly T[] {
  return mostSpecificWins ? [...mostSpecificFirst].reverse() : mostSpecificFirst;
}
