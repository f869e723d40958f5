import type { ForwardedClientCert } from '../../model/client-cert.js';
import type { ConnectionInfo, TlsInfo } from '../../service/connection.js';

/** Who the caller proved to be, as far as this header is concerned. */
interface ProvenPeer {
  /** The element that the mesh writes where nothing else is said; undefined when the caller showed no certificate. */
  readonly forwardedClientCert: string | undefined;
}

/**
 * What the application gets as `x-forwarded-client-cert`; undefined = nothing. Without a rule what the caller says is
 * taken off, and a caller with a certificate is named (Envoy SANITIZE_SET).
 */
export function forwardedClientCert(
  rule: ForwardedClientCert | undefined,
  received: string | undefined,
  peer: ProvenPeer | undefined,
  connection: () => ConnectionInfo,
): string | undefined {
  const proven = peer?.forwardedClientCert;
  if (rule === undefined) return proven;
  if (rule.mode === 'always-forward-only') return received;
  if (proven === undefined) return undefined;
  if (rule.mode === 'forward-only') return received;
  const element = elementOf(rule, connection());
  return rule.mode === 'sanitize-set' || received === undefined || received === ''
    ? element
    : `${received},${element}`;
}

const elements = new WeakMap<ConnectionInfo, { readonly rule: ForwardedClientCert; readonly text: string }>();

/** A connection has one element, made by its first request. */
function elementOf(rule: ForwardedClientCert, connection: ConnectionInfo): string {
  const known = elements.get(connection);
  if (known?.rule === rule) return known.text;
  const text = makeElement(rule, connection.tls);
  elements.set(connection, { rule, text });
  return text;
}

/** Envoy's order: By, Hash, Cert, Subject, URI, DNS. */
function makeElement(rule: ForwardedClientCert, tls: TlsInfo | undefined): string {
  const peer = tls?.peer;
  const parts: string[] = [];
  if (tls?.localUriSan !== undefined) parts.push(`By=${safe(tls.localUriSan)}`);
  if (peer === undefined) return parts.join(';');
  parts.push(`Hash=${peer.sha256}`);
  if (rule.cert) parts.push(`Cert="${encodeURIComponent(peer.pem)}"`);
  if (rule.subject) parts.push(`Subject="${peer.subject.replaceAll(/["\\]/g, '\\$&')}"`);
  if (rule.uri) parts.push(...peer.uriSans.map((uri) => `URI=${safe(uri)}`));
  if (rule.dns) parts.push(...peer.dnsSans.map((dns) => `DNS=${safe(dns)}`));
  return parts.join(';').replaceAll(/[\0\r\n]/g, '');
}

/** Envoy: what could end the value, or begin another, makes it a quoted one. */
function safe(value: string): string {
  return /[",;=\s]/.test(value) ? `"${value.replaceAll(/["\\]/g, '\\$&')}"` : value;
}
