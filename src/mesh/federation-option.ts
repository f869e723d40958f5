import { join } from 'node:path';
import {
  type BundleSource,
  createBundleEndpointSource,
  type SpiffeProfile,
  type WebProfile,
} from '../identity/bundle-endpoint/source.js';
import type { RotatingSource } from '../identity/rotation.js';
import { parseSpiffeBundle } from '../identity/spiffe-bundle.js';
import { parseSpiffeId } from '../identity/spiffe-id.js';
import type { IdentityTools } from './identity-option.js';

/** Another trust domain whose workloads are peers of this process, and where its bundle is published. */
export interface FederatedTrustDomain {
  readonly trustDomain: string;
  /** URL of its SPIFFE bundle endpoint. */
  readonly url: string;
  /** SPIFFE ID of the server of the endpoint (profile `https_spiffe`); absent = a certificate of the web (`https_web`). */
  readonly endpointId?: string | undefined;
  /** With `endpointId`: the bundle document that verifies the server at first. */
  readonly bundle?: string | undefined;
  /** Without `endpointId`: PEM of the roots of the web to trust. Default: the platform's. */
  readonly roots?: readonly string[] | undefined;
}

/** The sources of federated bundles; what they fetched last is kept in `cacheDir`. */
export function createFederation(
  trustDomains: readonly FederatedTrustDomain[],
  identity: RotatingSource,
  cacheDir: string | undefined,
  tools: IdentityTools,
): readonly BundleSource[] {
  const sources = new Map<string, BundleSource>();
  const bundleOf = (name: string) => identity.bundle(name) ?? sources.get(name)?.bundle()?.x509;
  for (const one of trustDomains) {
    const file = cacheDir === undefined ? undefined : join(cacheDir, `bundle-${one.trustDomain}.json`);
    const { trustDomain, url } = one;
    const source = createBundleEndpointSource({
      trustDomain,
      url,
      profile: profileOf(one, bundleOf),
      file,
      ...tools,
    });
    sources.set(trustDomain, source);
  }
  return [...sources.values()];
}

function profileOf(
  { endpointId, bundle, roots }: FederatedTrustDomain,
  bundleOf: SpiffeProfile['bundleOf'],
): WebProfile | SpiffeProfile {
  if (endpointId === undefined) return { kind: 'https_web', roots };
  const { trustDomain } = parseSpiffeId(endpointId);
  return {
    kind: 'https_spiffe',
    endpointId,
    bundleOf,
    bundle: bundle === undefined ? undefined : parseSpiffeBundle(trustDomain, bundle),
  };
}
