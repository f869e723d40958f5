import type { UpstreamTls } from '../model/tls.js';
import { compileString } from '../routing/match.js';

/** The predicates of a TLS configuration's `subjectAltNames`, compiled once per endpoint. */
export function peerNamePredicates(tls: UpstreamTls): readonly ((name: string) => boolean)[] {
  return tls.subjectAltNames.map(compileString);
}
