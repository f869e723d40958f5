import type { Cluster } from '../../model/cluster.js';
import type { StringMatcher } from '../../model/matcher.js';
import type { PemSource, UpstreamTls } from '../../model/tls.js';
import type { ClientTlsSettings, TrafficPolicy } from '../kinds/types.js';
import { certificateSecret, rootsSecret } from './credentials.js';

/** What the TLS of a cluster depends on. */
export interface TlsContext {
  /** As in the DestinationRule. */
  readonly settings: ClientTlsSettings | undefined;
  /** Name by which meshed servers are addressed. */
  readonly meshSni: string;
  /** Host name that an external server must prove. */
  readonly host: string;
  /** SPIFFE IDs of the servers. */
  readonly identities: readonly string[];
  /** Names that a ServiceEntry demands. */
  readonly subjectAltNames: readonly string[];
  /** Whether mTLS is spoken unasked with those who take it: outside of the mesh nobody is. */
  readonly isAutomatic: boolean;
  /** Names of ALPN that are offered to meshed servers, and to others. */
  readonly alpn: { readonly mesh: readonly string[]; readonly simple: readonly string[] };
}

/** Metadata of endpoints that accept mesh mTLS, as Istio writes it. */
export const ISTIO_ENDPOINT: Readonly<Record<string, string>> = { tlsMode: 'istio' };

/** The TLS part of a cluster: as the DestinationRule says, else auto-mTLS endpoint by endpoint. */
export function upstreamTls(context: TlsContext): Pick<Cluster, 'tls' | 'transportSocketMatches'> {
  const { settings, isAutomatic } = context;
  if (settings?.mode === undefined) {
    // A tls block without a mode is DISABLE, the zero value of Istio's enumeration.
    if (settings !== undefined || !isAutomatic) return { tls: undefined, transportSocketMatches: [] };
    return { tls: undefined, transportSocketMatches: autoMutualTls(context) };
  }
  switch (settings.mode) {
    case 'ISTIO_MUTUAL':
      return { tls: meshTls(context), transportSocketMatches: [] };
    case 'SIMPLE':
      return { tls: simpleTls(context), transportSocketMatches: [] };
    case 'MUTUAL':
      return { tls: mutualTls(context, settings), transportSocketMatches: [] };
    case 'DISABLE':
      return { tls: undefined, transportSocketMatches: [] };
    default:
      // What is not known must not become plaintext.
      return settings.mode satisfies never;
  }
}

/** Istio: the header of the PROXY protocol goes before whatever else is spoken. */
export function withProxyProtocol(
  settings: TrafficPolicy['proxyProtocol'],
  sockets: Pick<Cluster, 'tls' | 'transportSocketMatches'>,
): Pick<Cluster, 'tls' | 'transportSocketMatches' | 'proxyProtocol'> {
  if (settings === undefined) return sockets;
  const proxyProtocol = settings.version === 'V2' ? 'v2' : 'v1';
  const { transportSocketMatches: matches } = sockets;
  return {
    ...sockets,
    proxyProtocol,
    transportSocketMatches: matches.map((one) => ({ ...one, proxyProtocol })),
  };
}

function autoMutualTls(context: TlsContext): Cluster['transportSocketMatches'] {
  return [
    { name: 'tlsMode-istio', match: ISTIO_ENDPOINT, tls: meshTls(context) },
    { name: 'tlsMode-disabled', match: {}, tls: undefined },
  ];
}

function meshTls({ settings, meshSni, identities, subjectAltNames, alpn }: TlsContext): UpstreamTls {
  const chosen = settings?.subjectAltNames ?? [];
  const names = chosen.length > 0 ? chosen : [...new Set([...subjectAltNames, ...identities])];
  return {
    mode: 'mesh',
    sni: settings?.sni || meshSni,
    subjectAltNames: names.map(exactly),
    alpn: alpn.mesh,
  };
}

function simpleTls({ settings, host, subjectAltNames, alpn }: TlsContext): UpstreamTls {
  const chosen = settings?.subjectAltNames ?? [];
  const names = chosen.length > 0 ? chosen : subjectAltNames;
  return {
    mode: 'simple',
    sni: settings?.sni || (host.startsWith('*') ? undefined : host),
    // Names that nobody vouches for mean nothing.
    subjectAltNames: settings?.insecureSkipVerify === true ? [] : names.map(exactly),
    alpn: alpn.simple,
    ...rootsOf(settings),
  };
}

function mutualTls(context: TlsContext, settings: ClientTlsSettings): UpstreamTls {
  if (settings.credentialName) {
    const simple = simpleTls(context);
    return {
      ...simple,
      secrets: { ...simple.secrets, certificate: certificateSecret(settings.credentialName) },
    };
  }
  const { clientCertificate: chain, privateKey: key } = settings;
  // The rules of the kind see to it that both are there.
  if (!chain || !key) throw new TypeError('a DestinationRule with tls mode MUTUAL names no certificate');
  return {
    ...simpleTls(context),
    certificate: { chain: fileAt(chain), key: fileAt(key), password: undefined },
  };
}

/** Istio: insecureSkipVerify leaves the server unverified; without roots the platform's hold. */
function rootsOf(settings: ClientTlsSettings | undefined): Pick<UpstreamTls, 'roots' | 'crl' | 'secrets'> {
  const { insecureSkipVerify, caCertificates, caCrl, credentialName } = settings ?? {};
  if (insecureSkipVerify === true) return { roots: 'none' };
  if (credentialName) return { secrets: { validation: rootsSecret(credentialName) } };
  if (!caCertificates) return {};
  return { roots: fileAt(caCertificates), ...(caCrl && { crl: fileAt(caCrl) }) };
}

function fileAt(path: string): PemSource {
  return { kind: 'file', path };
}

function exactly(value: string): StringMatcher {
  return { kind: 'exact', value, ignoreCase: false };
}
