import type { X509Bundle } from '../../identity/bundle.js';
import type { SpiffeId } from '../../identity/spiffe-id.js';
import { createWebFetch } from '../../identity/web-fetch.js';
import type { Clock } from '../../runtime/clock.js';
import type { Random } from '../../runtime/random.js';
import { type Authenticator, firstOf, loopbackAuthenticator, svidAuthenticator } from '../ca/authenticate.js';
import { bearerToken } from './bearer.js';
import { isJoinToken, type JoinTokens } from './join-tokens.js';
import { ISTIO_AUDIENCE, type KubernetesReview, kubernetesAuthenticator } from './kubernetes.js';
import { createTokenVerifier, type OidcIssuer, oidcAuthenticator } from './oidc.js';

/** By what workloads prove who they are, besides the certificates of this mesh and join tokens. */
export interface CallerOptions {
  /**
   * Whether processes of this machine are believed what they say of themselves: then each can be anybody. Default: true
   * while everything listens on loopback, false otherwise.
   */
  readonly loopback?: boolean;
  /** OIDC issuers whose tokens are taken. */
  readonly oidc?: readonly OidcIssuer[];
  /** Service-account tokens of a Kubernetes cluster: asked of its API server, or verified by its published keys. */
  readonly kubernetes?: KubernetesReview | KubernetesIssuer;
  /** Further ones, asked after those above. */
  readonly authenticators?: readonly Authenticator[];
}

/** A cluster whose service-account tokens are verified here, without asking its API server. */
export interface KubernetesIssuer extends Pick<OidcIssuer, 'jwks' | 'jwksUri' | 'ca'> {
  /** The `--service-account-issuer` of the cluster. */
  readonly issuer: string;
  /** Default `istio-ca`. */
  readonly audiences?: readonly string[];
}

/** The authenticators of a control plane. */
export interface Callers {
  /** Who may have a certificate. */
  readonly forCertificates: Authenticator;
  /** Who may use the other services, by a token that may be shown again. */
  readonly forCalls: Authenticator;
  close(): void;
}

export interface CallerTools {
  readonly trustDomain: string;
  readonly bundle: () => X509Bundle;
  readonly joinTokens: JoinTokens;
  readonly trustsLoopback: boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** A join token was used up. */
  readonly joined: (id: SpiffeId) => Promise<void>;
}

/** @throws MeshError `INMESH_OPTION_INVALID` for what can't be used. */
export function createCallers(options: CallerOptions, tools: CallerTools): Callers {
  const { trustDomain, clock, random, env, trustsLoopback } = tools;
  const fetch = createWebFetch(clock);
  const { kubernetes } = options;
  const isOffline = kubernetes !== undefined && 'issuer' in kubernetes;
  const issuers = [
    ...(options.oidc ?? []),
    ...(isOffline ? [kubernetesIssuer(kubernetes, trustDomain)] : []),
  ];
  const verifier = createTokenVerifier(issuers, { fetch, clock, random });
  const tokens: readonly Authenticator[] = [
    ...(issuers.length === 0 ? [] : [oidcAuthenticator(issuers, { verifier, trustDomain })]),
    ...(kubernetes === undefined || isOffline
      ? []
      : [kubernetesAuthenticator(kubernetes, { fetch, trustDomain, env })]),
    ...(options.authenticators ?? []).map((one) => ofDomain(one, trustDomain)),
  ];
  const svid = svidAuthenticator((name) => (name === trustDomain ? tools.bundle() : undefined), clock);
  return {
    forCertificates: firstOf([
      svid,
      joinTokenAuthenticator(tools),
      ...tokens,
      ...(trustsLoopback ? [loopbackAuthenticator(trustDomain)] : []),
    ]),
    forCalls: firstOf(tokens),
    close: () => verifier.close(),
  };
}

/** Each token is good for one certificate: it is used up before anything is issued. */
function joinTokenAuthenticator({ joinTokens, joined }: CallerTools): Authenticator {
  return async ({ metadata }) => {
    const token = bearerToken(metadata('authorization'));
    if (token === undefined || !isJoinToken(token)) return undefined;
    const id = await joinTokens.use(token);
    if (id === undefined) throw new Error('the join token is unknown, used or expired');
    await joined(id);
    return { id, authenticator: 'join-token' };
  };
}

function kubernetesIssuer({ audiences, ...one }: KubernetesIssuer, trustDomain: string): OidcIssuer {
  return {
    ...one,
    audiences: audiences ?? [ISTIO_AUDIENCE],
    identities: [
      {
        id: `spiffe://${trustDomain}/ns/{kubernetes.io/namespace}/sa/{kubernetes.io/serviceaccount/name}`,
      },
    ],
  };
}

/** Whoever an authenticator of the application names, it is nobody outside of this mesh. */
function ofDomain(authenticate: Authenticator, trustDomain: string): Authenticator {
  return async (call) => {
    const identity = await authenticate(call);
    if (identity === undefined || identity.id.trustDomain === trustDomain) return identity;
    throw new Error(`${identity.id} is not of trust domain ${trustDomain}`);
  };
}
