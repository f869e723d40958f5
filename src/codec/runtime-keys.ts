import type { RuntimeKeys } from '../model/runtime.js';

/** Envoy demands a key where there is none to give. Nobody sets this one. */
const NO_KEY = 'inmesh.no_key';

/** The keys of the runtime that fields of the model follow, by the names of the fields; nothing when none does. */
export function keysOf<Field extends string>(
  fields: Readonly<Record<Field, { readonly runtimeKey: string } | undefined>>,
): { readonly runtimeKeys?: RuntimeKeys<Field> } {
  const keys: Partial<Record<Field, string>> = {};
  let hasAny = false;
  for (const field of Object.keys(fields) as Field[]) {
    const key = fields[field]?.runtimeKey ?? '';
    if (key === '' || key === NO_KEY) continue;
    keys[field] = key;
    hasAny = true;
  }
  return hasAny ? { runtimeKeys: keys } : {};
}

/** The key of a field on the wire. */
export function wireKey<Field extends string>(keys: RuntimeKeys<Field> | undefined, field: Field): string {
  return keys?.[field] ?? NO_KEY;
}
