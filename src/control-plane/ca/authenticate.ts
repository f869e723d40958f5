import type { X509Bundle } from '../../identity/bundle.js';
import { NAMESPACE_METADATA, SERVICE_ACCOUNT_METADATA } from '../../identity/caller-metadata.js';
import { istioId, type SpiffeId } from '../../identity/spiffe-id.js';
import { verifyPeer } from '../../identity/verify.js';
import type { Clock } from '../../runtime/clock.js';
import { isLoopbackPeer } from './peer-address.js';

/** What is known of a call before anybody vouched for it. */
export interface UnauthenticatedCall {
  /** Address and port of the other end, as the socket has it. */
  readonly peerAddress: string;
  readonly metadata: (name: string) => string | undefined;
  /** DER of the certificate that the peer presented in the handshake. */
  readonly peerCertificate?: Uint8Array | undefined;
}

/** Who a caller is, and who says so. */
export interface Identity {
  readonly id: SpiffeId;
  readonly authenticator: string;
  /** Calendar time until which what it showed is taken; undefined = for as long as the connection lasts. */
  readonly expiresAtMs?: number | undefined;
}

/**
 * Recognises callers; undefined = not one that this authenticator knows, so that others are asked. It throws for one that
 * it knows and that does not hold: then nobody else is asked.
 */
export type Authenticator = (
  call: UnauthenticatedCall,
) => Identity | undefined | Promise<Identity | undefined>;

/** What every refused caller is told: the same, whatever it showed. The log says more. */
export const UNAUTHENTICATED = 'the caller is not authenticated';

/**
 * Believes processes of this machine what they say of themselves. For development only: whoever can open a loopback
 * connection can be any workload.
 */
export function loopbackAuthenticator(
  trustDomain: string,
): (call: UnauthenticatedCall) => Identity | undefined {
  return ({ peerAddress, metadata }) => {
    if (!isLoopbackPeer(peerAddress)) return undefined;
    const namespace = metadata(NAMESPACE_METADATA);
    const serviceAccount = metadata(SERVICE_ACCOUNT_METADATA);
    if (namespace === undefined || serviceAccount === undefined) return undefined;
    return { id: istioId(trustDomain, namespace, serviceAccount), authenticator: 'loopback' };
  };
}

/** Recognises a workload by the SVID of its TLS connection; one that does not hold is refused with the verifier's error. */
export function svidAuthenticator(
  bundleOf: (trustDomain: string) => X509Bundle | undefined,
  clock: Clock,
): (call: UnauthenticatedCall) => Identity | undefined {
  return ({ peerCertificate }) => {
    if (peerCertificate === undefined) return undefined;
    const { id } = verifyPeer([peerCertificate], bundleOf, { nowMs: clock.wallTime() });
    return { id, authenticator: 'svid' };
  };
}

/** Asks authenticators in order; the first that knows the caller decides, also when it refuses. */
export function firstOf(
  authenticators: readonly Authenticator[],
): (call: UnauthenticatedCall) => Promise<Identity | undefined> {
  return async (call) => {
    for (const authenticate of authenticators) {
      const identity = await authenticate(call);
      if (identity !== undefined) return identity;
    }
    return undefined;
  };
}
