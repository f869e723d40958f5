import type { KindName } from './types.js';

/** What documents of the kind call it in `kind`: two kinds are called Gateway, one of which has its group in the name. */
export function yamlKind(name: KindName): string {
  return name.split('.', 1)[0] ?? name;
}
