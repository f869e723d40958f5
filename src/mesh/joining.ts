import { readFile } from 'node:fs/promises';
import { checkServerIdentity, createSecureContext, type PeerCertificate } from 'node:tls';
import { createX509Bundle } from '../identity/bundle.js';
import { verifyPeer } from '../identity/verify.js';
import type { X509Svid } from '../identity/x509-svid.js';
import type { Clock } from '../runtime/clock.js';
import { MeshError, messageOf } from '../runtime/errors.js';
import type { Random } from '../runtime/random.js';
import { Secret } from '../runtime/secret.js';
import { type CredentialsSource, isLoopback } from '../xds/channel-credentials.js';
import { CONTROL_PLANE_PATH } from './bootstrap/server-spec.js';
import { JwtTokenFile } from './jwt-token-file.js';
import { chainOf } from './server-credentials.js';

/** How a workload that has no certificate yet proves who it is, and knows the control plane. */
export interface JoinOptions {
  /**
   * PEM file with the roots of the mesh: the control plane and its authority are reached by TLS only, and have to be the
   * control plane of that mesh. `INMESH_CA_ROOT`.
   */
  readonly caRootFile?: string;
  /** One-time token for the first certificate (`inmesh token create`). `INMESH_JOIN_TOKEN`, or the file `INMESH_JOIN_TOKEN_FILE`. */
  readonly joinToken?: string;
  /**
   * File with a JWT that proves who this workload is, read again for each use. `INMESH_TOKEN_FILE`; with `caRootFile` where
   * Istio has Kubernetes put it: `/var/run/secrets/tokens/istio-token`, if it is there.
   */
  readonly tokenFile?: string;
}

/** The same, with defaults filled in. */
export interface ResolvedJoin {
  readonly caRootFile: string | undefined;
  readonly joinToken: Secret | undefined;
  readonly tokenFile: string | undefined;
}

const ISTIO_TOKEN = '/var/run/secrets/tokens/istio-token';

/** @throws MeshError `INMESH_OPTION_INVALID`. */
export function resolveJoin(
  options: JoinOptions,
  env: Readonly<Record<string, string | undefined>>,
  readText: (path: string) => string,
): ResolvedJoin {
  const caRootFile = options.caRootFile ?? (env['INMESH_CA_ROOT'] || undefined);
  const joinToken = options.joinToken ?? (env['INMESH_JOIN_TOKEN'] || joinTokenOf(env, readText));
  const given = options.tokenFile ?? (env['INMESH_TOKEN_FILE'] || undefined);
  const isIstios = given === undefined && caRootFile !== undefined && isReadable(ISTIO_TOKEN, readText);
  return {
    caRootFile,
    joinToken: joinToken === undefined ? undefined : new Secret(joinToken.trim()),
    tokenFile: isIstios ? ISTIO_TOKEN : given,
  };
}

function joinTokenOf(
  env: Readonly<Record<string, string | undefined>>,
  readText: (path: string) => string,
): string | undefined {
  const path = env['INMESH_JOIN_TOKEN_FILE'];
  if (path === undefined || path === '') return undefined;
  try {
    return readText(path);
  } catch (cause) {
    throw new MeshError('INMESH_OPTION_INVALID', 'the file with the join token can not be read', {
      resource: path,
      cause,
    });
  }
}

function isReadable(path: string, readText: (path: string) => string): boolean {
  try {
    return readText(path) !== '';
  } catch {
    return false;
  }
}

/** How an authority is called by whoever joins. */
export interface Joining {
  /** Undefined = nothing special is configured. */
  readonly credentials: CredentialsSource | undefined;
  readonly callMetadata: (() => Promise<Readonly<Record<string, string>>>) | undefined;
}

/**
 * Credentials and metadata for an authority: the certificate of this workload once it has one, a token before; tokens go
 * over TLS only.
 * @throws MeshError `INMESH_OPTION_INVALID` when a token would go in plaintext.
 */
export function joining(
  { caRootFile, joinToken, tokenFile }: ResolvedJoin,
  target: string,
  tools: { readonly current: () => X509Svid | undefined; readonly clock: Clock; readonly random: Random },
): Joining {
  const hasToken = joinToken !== undefined || tokenFile !== undefined;
  if (hasToken && caRootFile === undefined && isLoopback(target)) {
    throw new MeshError('INMESH_OPTION_INVALID', `a token would go to ${target} in plaintext`, {
      hint: 'Give the root of the mesh (INMESH_CA_ROOT), and the secure port of the control plane',
    });
  }
  const { clock } = tools;
  const valid = () => {
    const svid = tools.current();
    return svid !== undefined && svid.notAfterMs > clock.wallTime() ? svid : undefined;
  };
  const file = tokenFile === undefined ? undefined : new JwtTokenFile({ path: tokenFile, ...tools });
  return {
    credentials: caRootFile === undefined ? undefined : rootedCredentials(caRootFile, valid, clock),
    callMetadata: hasToken
      ? async () => {
          // A join token is for the first certificate; from then on that is the proof.
          if (file !== undefined) return bearer(await file.token());
          return joinToken === undefined || valid() !== undefined ? {} : bearer(joinToken.reveal());
        }
      : caRootFile === undefined
        ? undefined
        : () => Promise.resolve({}),
  };
}

function bearer(token: string): Readonly<Record<string, string>> {
  return { authorization: `Bearer ${token}` };
}

function rootedCredentials(
  caRootFile: string,
  svid: () => X509Svid | undefined,
  clock: Clock,
): CredentialsSource {
  return async (grpc) => {
    const roots = await readRoots(caRootFile);
    const own = svid();
    const context = createSecureContext({
      ca: roots,
      minVersion: 'TLSv1.3',
      ...(own !== undefined && {
        cert: own.certificatesPem.join(''),
        key: own.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      }),
    });
    return grpc.credentials.createFromSecureContext(context, {
      checkServerIdentity: (host, certificate) => controlPlaneError(host, certificate, { roots, clock }),
    });
  };
}

/**
 * Roots of the mesh vouch for every workload of it: the server has to be the control plane, by its SPIFFE ID, or, where
 * its certificate has none (istiod), by its name.
 */
export function controlPlaneError(
  host: string,
  certificate: PeerCertificate,
  { roots, clock }: { readonly roots: string; readonly clock: Clock },
): Error | undefined {
  if (!/(?:^|, )URI:/.test(certificate.subjectaltname ?? '')) return checkServerIdentity(host, certificate);
  try {
    verifyPeer(chainOf(certificate), (domain) => createX509Bundle(domain, roots), {
      nowMs: clock.wallTime(),
      authorizer: ({ path }) => path === CONTROL_PLANE_PATH,
    });
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(messageOf(error));
  }
}

async function readRoots(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new MeshError('INMESH_IDENTITY_UNAVAILABLE', 'the roots of the mesh can not be read', {
      resource: path,
      cause,
      hint: 'Copy root.pem of the data folder of the control plane to that path, or correct INMESH_CA_ROOT',
    });
  }
}
