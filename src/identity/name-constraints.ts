import { type GeneralName, GeneralNameTag, latin1, type NameConstraints } from './x509.js';

/**
 * Tells which rule of RFC 5280 §4.2.1.10 a certificate's names break, or undefined. URI and DNS names are compared;
 * a constraint on another kind of name that the certificate carries cannot be judged here and counts as broken.
 */
export function brokenNameConstraint(
  names: readonly GeneralName[],
  hasSubject: boolean,
  constraints: NameConstraints,
): string | undefined {
  const all = [...constraints.permitted, ...constraints.excluded];
  if (hasSubject && all.some(({ tag }) => tag === GeneralNameTag.directory))
    return 'directory names are constrained';
  for (const name of names) {
    const same = (constraint: GeneralName) => constraint.tag === name.tag;
    const permitted = constraints.permitted.filter(same);
    const excluded = constraints.excluded.filter(same);
    if (permitted.length + excluded.length === 0) continue;
    const host = hostOf(name);
    if (host === undefined) return 'a kind of name is constrained that cannot be compared';
    if (excluded.some((constraint) => matches(host, name.tag, constraint))) return 'a name is excluded';
    if (permitted.length > 0 && !permitted.some((constraint) => matches(host, name.tag, constraint))) {
      return 'a name is not among the permitted ones';
    }
  }
  return undefined;
}

function hostOf(name: GeneralName): string | undefined {
  const text = latin1(name.value).toLowerCase();
  if (name.tag === GeneralNameTag.dns) return text;
  return name.tag === GeneralNameTag.uri ? /^[a-z][a-z0-9+.-]*:\/\/([^/?#@:]+)/.exec(text)?.[1] : undefined;
}

/** A URI constraint with a leading dot means sub-domains only, without it that host only; a DNS one means both. */
function matches(host: string, tag: number, constraint: GeneralName): boolean {
  const text = latin1(constraint.value).toLowerCase();
  if (text === '') return true;
  if (text.startsWith('.')) return host.endsWith(text);
  return host === text || (tag === GeneralNameTag.dns && host.endsWith(`.${text}`));
}
