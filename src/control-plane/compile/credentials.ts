import { SECRET } from '../../codec/secret.js';
import type { Cluster } from '../../model/cluster.js';
import type { Secret } from '../../model/secret.js';
import type { PemSource, TlsSecrets } from '../../model/tls.js';
import { WeakMemo } from '../../runtime/weak-memo.js';
import { API_SCHEME, type Credential, credentialOf } from '../kinds/credential.js';
import type { GatewayServer } from '../kinds/types.js';
import type { ConfigView } from '../kinds/view.js';
import type { WireResource } from '../resources/resource-set.js';
import { gatewayKey } from './envoy/gateway-plan.js';
import type { Profile } from './profile.js';

/** Istio's names of what SDS serves of the Secret that a `credentialName` means, in the client's own namespace. */
const SCHEME = 'kubernetes://';
const ROOTS_SUFFIX = '-cacert';
/** Under which name SDS has the certificate with its key. */
export function certificateSecret(credentialName: string): string {
  return `${SCHEME}${credentialName}`;
}

/** Under which name SDS has the roots. */
export function rootsSecret(credentialName: string): string {
  return `${SCHEME}${credentialName}${ROOTS_SUFFIX}`;
}

/**
 * What SDS has under a name; undefined when the namespace has no such Secret, or it holds nothing of the kind. Roots are
 * in a Secret of their own, `<name>-cacert`, or along with the certificate (Istio).
 */
export function namedSecret(view: ConfigView, namespace: string, name: string): Secret | undefined {
  if (name.startsWith(API_SCHEME)) {
    const [other = '', secret = ''] = name.slice(API_SCHEME.length).split('/');
    return certificateIn(view, other, secret);
  }
  if (!name.startsWith(SCHEME)) return undefined;
  const own = name.slice(SCHEME.length);
  if (!own.endsWith(ROOTS_SUFFIX)) {
    return certificateIn(view, namespace, own);
  }
  const found =
    credentialIn(view, namespace, own) ?? credentialIn(view, namespace, own.slice(0, -ROOTS_SUFFIX.length));
  if (found?.roots === undefined) return undefined;
  const { roots, crl } = found;
  return {
    kind: 'validation',
    roots: inline(roots),
    crl: crl === undefined ? undefined : inline(crl),
    subjectAltNames: [],
  };
}

function certificateIn(view: ConfigView, namespace: string, name: string): Secret | undefined {
  const { chain, key } = credentialIn(view, namespace, name) ?? {};
  if (chain === undefined || key === undefined) return undefined;
  return {
    kind: 'certificate',
    certificate: { chain: inline(chain), key: inline(key), password: undefined },
  };
}

function credentialIn(view: ConfigView, namespace: string, name: string): Credential | undefined {
  const document = view.get('Secret', namespace, name);
  return document && credentialOf(document.spec);
}

function inline(pem: string): PemSource {
  return { kind: 'inline', pem };
}

/** The SDS names that a server of a Gateway takes its certificates and the roots of its clients from. */
export function gatewaySecrets(tls: NonNullable<GatewayServer['tls']>): {
  readonly certificates: readonly string[];
  readonly roots: string | undefined;
} {
  const { mode, credentialName, credentialNames = [], caCertCredentialName, caCertificates } = tls;
  if (mode === 'ISTIO_MUTUAL') return { certificates: [], roots: undefined };
  if (tls.gatewayApi !== undefined) return { certificates: tls.gatewayApi.certificates, roots: undefined };
  // Istio: two certificates, for keys of two kinds, are all that are served.
  const names = (credentialName ? [credentialName] : credentialNames).slice(0, 2);
  const isMutual = mode === 'MUTUAL' || mode === 'OPTIONAL_MUTUAL';
  const roots = caCertCredentialName || (caCertificates ? undefined : names[0]);
  return {
    certificates: names.map(certificateSecret),
    roots: isMutual && roots ? rootsSecret(roots) : undefined,
  };
}

/** The Secrets of a client's own namespace that its resources name, each only as far as they do. */
export function credentialSecrets(
  view: ConfigView,
  { namespace, envoy }: Profile,
  clusters: ReadonlyMap<string, Cluster>,
): ReadonlyMap<string, WireResource> {
  const names = new Set([...clusterSecrets(clusters), ...namesOfGateways(view, envoy?.gateways ?? [])]);
  const secrets = new Map<string, WireResource>();
  for (const name of [...names].sort()) {
    const secret = namedSecret(view, namespace, name);
    if (secret !== undefined) secrets.set(name, { name, bytes: SECRET.encode({ name, secret }) });
  }
  return secrets;
}

function* namesOfGateways(view: ConfigView, selected: readonly string[]): Iterable<string> {
  if (selected.length === 0) return;
  for (const gateway of view.list('Gateway').filter((one) => selected.includes(gatewayKey(one)))) {
    for (const { tls } of gateway.spec.servers ?? []) {
      const { certificates, roots } = gatewaySecrets(tls ?? {});
      yield* certificates;
      if (roots !== undefined) yield roots;
    }
  }
}

/** The names of Secrets in clusters; looked for once. */
function clusterSecrets(clusters: ReadonlyMap<string, Cluster>): readonly string[] {
  return known.get([clusters], () => [...namesOf(clusters)]);
}

const known = new WeakMemo<readonly string[]>();

function* namesOf(clusters: ReadonlyMap<string, Cluster>): Iterable<string> {
  for (const { tls, transportSocketMatches } of clusters.values()) {
    yield* secretNames(tls?.secrets);
    for (const match of transportSocketMatches) yield* secretNames(match.tls?.secrets);
  }
}

function* secretNames({ certificate, validation }: TlsSecrets = {}): Iterable<string> {
  if (certificate !== undefined) yield certificate;
  if (validation !== undefined) yield validation;
}
