import { kindMeant, SCHEMA_KINDS } from '../control-plane.js';

const SHORT = 'vs dr se we wg gw pa ra ap rl gc svc ep po deploy sts ds ns sa cm all'.split(' ');

/** The words for kinds: names in lower case, and the short ones that there are. */
export function kindWords(): readonly string[] {
  const short = SHORT.filter((word) => word === 'all' || kindMeant(word) !== undefined);
  return [...SCHEMA_KINDS.map((kind) => kind.toLowerCase()), ...short];
}
