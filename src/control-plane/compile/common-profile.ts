import type { ConfigView } from '../kinds/view.js';
import { gatewayCertificate } from './backend-tls.js';
import type { Profile } from './profile.js';

/**
 * What of a profile its clusters, routes, endpoints and the bare listeners depend on: profiles that differ elsewhere (in
 * EnvoyFilters, logs, tracing, sockets) share these.
 */
export interface CommonProfile
  extends Pick<Profile, 'namespace' | 'labels' | 'generator' | 'place' | 'sidecar'> {
  /** What the gateway that the client belongs to shows to backends. */
  readonly certificate: string | undefined;
  readonly key: string;
}

/** The part of a profile that others may share. */
export function commonProfileOf(profile: Profile, view: ConfigView): CommonProfile {
  const { namespace, labels, generator, place, sidecar } = profile;
  const certificate = gatewayCertificate(view, profile);
  const sidecarName = sidecar && `${sidecar.namespace}/${sidecar.name}`;
  const key = JSON.stringify([generator, namespace, labels, place, sidecarName, certificate]);
  return { namespace, labels, generator, place, sidecar, certificate, key };
}
