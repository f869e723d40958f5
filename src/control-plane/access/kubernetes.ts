import { readFile } from 'node:fs/promises';
import { claimedExpiry, claimedIssuer } from '../../identity/oidc-token.js';
import { istioId, type SpiffeId } from '../../identity/spiffe-id.js';
import type { WebFetch } from '../../identity/web-fetch.js';
import { MeshError } from '../../runtime/errors.js';
import { parseStrictJson } from '../../runtime/strict-json.js';
import type { Authenticator } from '../ca/authenticate.js';
import { bearerToken } from './bearer.js';

/** How service-account tokens of a Kubernetes cluster are judged: by its API server (TokenReview). */
export interface KubernetesReview {
  /** URL of the API server. Default: that of the cluster that this process runs in. */
  readonly apiServer?: string;
  /** File with the token of this process; read for each review. Default: the one that Kubernetes mounts. */
  readonly tokenFile?: string;
  /** PEM file of the cluster's roots. Default: the one that Kubernetes mounts. */
  readonly caFile?: string;
  /** A token must be for one of these. Default `istio-ca`. */
  readonly audiences?: readonly string[];
}

const MOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';
/** What Istio's agents ask their tokens for. */
export const ISTIO_AUDIENCE = 'istio-ca';

export interface KubernetesTools {
  readonly fetch: WebFetch;
  readonly trustDomain: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Recognises pods by their service-account tokens; asks the API server about each one. */
export function kubernetesAuthenticator(options: KubernetesReview, tools: KubernetesTools): Authenticator {
  const { audiences = [ISTIO_AUDIENCE], tokenFile = `${MOUNT}/token`, caFile = `${MOUNT}/ca.crt` } = options;
  const apiServer = options.apiServer ?? apiServerOf(tools.env);
  const url = `${apiServer.replace(/\/$/, '')}/apis/authentication.k8s.io/v1/tokenreviews`;
  return async ({ metadata }) => {
    const token = bearerToken(metadata('authorization'));
    // Only what is a JWT at all is sent on.
    if (token === undefined || claimedIssuer(token) === undefined) return undefined;
    const [ownToken, ca] = await Promise.all([readFile(tokenFile, 'utf8'), readFile(caFile, 'utf8')]);
    const answer = await tools.fetch({
      url,
      method: 'POST',
      headers: { authorization: `Bearer ${ownToken.trim()}`, 'content-type': 'application/json' },
      body: JSON.stringify({
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenReview',
        spec: { token, audiences },
      }),
      ca,
    });
    if (answer.status !== 200 && answer.status !== 201)
      throw new Error(`the API server answered ${answer.status} to a TokenReview`);
    return {
      id: reviewed(answer.text, audiences, tools.trustDomain),
      authenticator: 'kubernetes',
      // The API server vouches for the token, so what it says of its end holds.
      expiresAtMs: claimedExpiry(token),
    };
  };
}

/** Who the API server says the bearer is. An API server that does not know audiences does not confirm one: refused. */
function reviewed(text: string, audiences: readonly string[], trustDomain: string): SpiffeId {
  const review = parseStrictJson(text, (what) => new Error(`the answer of the API server: ${what}`));
  const { authenticated, user, audiences: confirmed } = statusOf(review);
  if (authenticated !== true) throw new Error('the API server does not know the token');
  if (!Array.isArray(confirmed) || !confirmed.some((one) => audiences.includes(one as string)))
    throw new Error('the token is for another audience');
  const name = typeof user === 'object' && user !== null && 'username' in user ? user.username : undefined;
  const id = typeof name === 'string' ? serviceAccountId(name, trustDomain) : undefined;
  if (id === undefined) throw new Error('the token is of no service account');
  return id;
}

function statusOf(review: unknown): { authenticated?: unknown; user?: unknown; audiences?: unknown } {
  if (typeof review !== 'object' || review === null || !('status' in review)) return {};
  const { status } = review;
  return typeof status === 'object' && status !== null ? status : {};
}

/** `system:serviceaccount:<namespace>:<name>` as an identity. */
export function serviceAccountId(userName: string, trustDomain: string): SpiffeId | undefined {
  const match = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(userName);
  return match?.[1] === undefined || match[2] === undefined
    ? undefined
    : istioId(trustDomain, match[1], match[2]);
}

function apiServerOf(env: KubernetesTools['env']): string {
  const host = env['KUBERNETES_SERVICE_HOST'];
  const port = env['KUBERNETES_SERVICE_PORT_HTTPS'] ?? env['KUBERNETES_SERVICE_PORT'] ?? '443';
  if (host !== undefined && host !== '') return `https://${host.includes(':') ? `[${host}]` : host}:${port}`;
  throw new MeshError('INMESH_OPTION_INVALID', 'no Kubernetes API server is known', {
    hint: 'Run in a cluster, or give apiServer, tokenFile and caFile',
  });
}
