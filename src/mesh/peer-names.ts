import type { UpstreamTls } from '../model/tls.js';
import { compileString } from '../routing/match.js';

/** Whether a name of a certificate is one that is asked for. */
export type PeerNamePredicate = (name: string) => boolean;

/** The predicates of a TLS configuration's `subjectAltNames`, compiled once per endpoint or server. */
export function peerNamePredicates(tls: Pick<UpstreamTls, 'subjectAltNames'>): readonly PeerNamePredicate[] {
  return tls.subjectAltNames.map(compileString);
}
