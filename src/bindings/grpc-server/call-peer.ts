import { X509Certificate } from 'node:crypto';
import type { ServerInterceptingCallInterface } from '@grpc/grpc-js';
import type { X509Bundle } from '../../identity/bundle.js';
import { readPem } from '../../identity/pem.js';
import type { IdentitySource } from '../../identity/source.js';
import { verifyPeer } from '../../identity/verify.js';
import type { Clock } from '../../runtime/clock.js';
import type { TlsInfo } from '../../service/connection.js';
import type { InboundPeer } from '../http/connection.js';
import { certificateInfo } from '../http/connection-info.js';

/** Who calls, and what its certificate says. */
export interface CallPeer extends Pick<InboundPeer, 'expiresAtMs'> {
  readonly spiffeId: string;
  /** The element of `x-forwarded-client-cert` that names the peer. */
  readonly forwardedClientCert: string;
  readonly tls: TlsInfo;
}

/** Callers that are remembered; when there are more, all are verified again. */
const MAX_KNOWN = 1000;

/**
 * Finds out who is at the other end of calls, by the certificates of their connections as grpc-js shows them. What was
 * verified holds until it expires, or until our own certificate or the roots change.
 */
export class CallPeers {
  readonly #identity: IdentitySource;
  readonly #clock: Clock;
  readonly #known = new Map<string, CallPeer>();

  constructor(identity: IdentitySource, clock: Clock) {
    this.#identity = identity;
    this.#clock = clock;
    identity.onUpdate(() => this.#known.clear());
  }

  /**
   * Undefined for a connection without a certificate.
   * @throws MeshError when it is not a workload that we trust, or not any more.
   */
  of(call: ServerInterceptingCallInterface): CallPeer | undefined {
    const leaf = call.getAuthContext().sslPeerCertificate;
    if (leaf === undefined) return undefined;
    const known = this.#known.get(leaf.fingerprint256);
    if (known !== undefined && this.#clock.wallTime() < known.expiresAtMs) return known;
    const own = this.#identity.svid();
    // grpc-js shows the leaf only: what may stand between it and a root is taken from our own chain.
    const others = (own?.certificatesPem ?? []).slice(1).flatMap((pem) => readPem(pem, 'CERTIFICATE'));
    const chain = [leaf.raw, ...others];
    const { id, notAfterMs } = verifyPeer(chain, (domain) => this.#bundleOf(domain), {
      nowMs: this.#clock.wallTime(),
    });
    const hash = leaf.fingerprint256.replaceAll(':', '').toLowerCase();
    const peer = {
      spiffeId: id.toString(),
      expiresAtMs: Math.min(notAfterMs, own?.notAfterMs ?? 0),
      forwardedClientCert: `By=${own?.id};Hash=${hash};Subject="";URI=${id}`,
      tls: {
        serverName: undefined,
        version: 'TLSv1.3',
        cipher: '',
        sessionId: undefined,
        alpn: 'h2',
        peer: certificateInfo(new X509Certificate(leaf.raw)),
        peerVerified: true,
        localUriSan: own?.id.toString(),
      },
    };
    if (this.#known.size >= MAX_KNOWN) this.#known.clear();
    this.#known.set(leaf.fingerprint256, peer);
    return peer;
  }

  #bundleOf(trustDomain: string): X509Bundle | undefined {
    const own = this.#identity.svid()?.id.trustDomain;
    return trustDomain === own ? this.#identity.bundle(trustDomain) : undefined;
  }
}
