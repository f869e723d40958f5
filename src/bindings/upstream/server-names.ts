import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import { peerNamePredicates } from '../../mesh/peer-names.js';
import type { UpstreamTls } from '../../model/tls.js';

/** Judges the names in a server's certificate. */
export type NameCheck = (host: string, certificate: PeerCertificate) => Error | undefined;

/**
 * How the names of a server are checked: by those of the configuration (any match is enough, as in Envoy), else by the
 * name that was asked for. Envoy would accept any name in the second case; inmesh does not, because nobody means that.
 */
export function serverCheck(tls: UpstreamTls): NameCheck {
  if (tls.matchSni === true || tls.subjectAltNames.length === 0) return checkServerIdentity;
  const names = peerNamePredicates(tls);
  const exact = tls.subjectAltNames.flatMap((matcher) => (matcher.kind === 'exact' ? [matcher.value] : []));
  return (_host, certificate) => {
    const offered = namesOf(certificate);
    const matches = offered.some(
      ({ kind, name }) =>
        names.some((predicate) => predicate(name)) ||
        (kind === 'DNS' && exact.some((wanted) => coversName(name, wanted))),
    );
    if (matches) return undefined;
    const list = offered.map(({ name }) => name).join(', ');
    const what = `the server's certificate names ${list}, none of which is allowed`;
    return Object.assign(new Error(what), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
  };
}

function namesOf({ subjectaltname = '' }: PeerCertificate): { kind: string; name: string }[] {
  return subjectaltname.split(', ').map((entry) => {
    const colon = entry.indexOf(':');
    return { kind: entry.slice(0, colon), name: entry.slice(colon + 1) };
  });
}

/** Envoy: a `*` stands for part of the left-most label; letters count in either case. */
function coversName(pattern: string, wanted: string): boolean {
  const [first = '', ...rest] = pattern.toLowerCase().split('.');
  const [label = '', ...others] = wanted.toLowerCase().split('.');
  if (rest.length === 0 || rest.join('.') !== others.join('.')) return false;
  const [before = '', after, ...more] = first.split('*');
  if (after === undefined) return first === label;
  // Internationalized labels are never matched by part.
  if (more.length > 0 || label === '' || label.startsWith('xn--')) return false;
  return label.length >= before.length + after.length && label.startsWith(before) && label.endsWith(after);
}
