import type { PeerCertificate, SecureContext } from 'node:tls';
import type { IdentitySource } from '../identity/source.js';
import { parseSpiffeId } from '../identity/spiffe-id.js';
import { createMeshTls } from '../identity/tls-options.js';
import { verifyPeer } from '../identity/verify.js';
import type { Clock } from '../runtime/clock.js';
import { MeshError, messageOf } from '../runtime/errors.js';
import type { Random } from '../runtime/random.js';
import { type CredentialsSource, defaultCredentials } from '../xds/channel-credentials.js';
import { type XdsServer, xdsServer } from '../xds/server.js';
import type { ChannelSecurity, ServerSpec, TlsFiles } from './bootstrap/server-spec.js';
import { JwtTokenFile } from './jwt-token-file.js';
import { TlsMaterial } from './tls-material.js';

/** What credentials are made with. */
export interface CredentialTools {
  readonly identity: IdentitySource;
  readonly clock: Clock;
  readonly random: Random;
}

/** A server as the xDS client takes it. */
export function connectable(spec: ServerSpec, tools: CredentialTools): XdsServer {
  const { target, features, streams, protocol, keepaliveMs, requestRate } = spec;
  return xdsServer({
    target,
    features,
    streams,
    protocol,
    keepaliveMs,
    requestRate,
    key: JSON.stringify(spec),
    credentials: credentialsOf(spec, tools),
  });
}

/** The credentials of a connection to a server: made anew for each one, from what the files and the identity hold then. */
export function credentialsOf(
  { target, security, tokenFile }: ServerSpec,
  tools: CredentialTools,
): CredentialsSource {
  const channel = channelCredentials(security, target, tools);
  if (tokenFile === undefined) return channel;
  const file = new JwtTokenFile({ path: tokenFile, clock: tools.clock, random: tools.random });
  return async (grpc) => {
    const call = grpc.credentials.createFromMetadataGenerator((_, done) => {
      void addToken(file, new grpc.Metadata(), done);
    });
    return grpc.credentials.combineChannelCredentials(await channel(grpc), call);
  };
}

function channelCredentials(
  security: ChannelSecurity,
  target: string,
  tools: CredentialTools,
): CredentialsSource {
  switch (security.kind) {
    case 'default':
      return defaultCredentials(target);
    case 'insecure':
      return (grpc) => grpc.credentials.createInsecure();
    case 'tls':
      return tlsCredentials(security);
    case 'mesh':
      return meshCredentials(security.serverIds, tools);
  }
}

function tlsCredentials({ caFile, certificateFile, keyFile }: TlsFiles): CredentialsSource {
  const material = new TlsMaterial({
    mode: 'simple',
    sni: undefined,
    subjectAltNames: [],
    alpn: [],
    roots: caFile === undefined ? undefined : { kind: 'file', path: caFile },
    certificate:
      certificateFile === undefined || keyFile === undefined
        ? undefined
        : { chain: { kind: 'file', path: certificateFile }, key: { kind: 'file', path: keyFile } },
  });
  return (grpc) => grpc.credentials.createFromSecureContext(readable(() => material.context()));
}

function readable(make: () => SecureContext): SecureContext {
  try {
    return make();
  } catch (cause) {
    throw new MeshError('INMESH_IDENTITY_UNAVAILABLE', 'the TLS files of the control plane can not be used', {
      cause,
      hint: 'Check that ca_certificate_file, certificate_file and private_key_file exist and are PEM',
    });
  }
}

/** The names of certificates mean nothing in the mesh: the server's SPIFFE ID counts. */
function meshCredentials(
  serverIds: readonly string[],
  { identity, clock }: CredentialTools,
): CredentialsSource {
  const tls = createMeshTls(identity, { clock });
  const isServer = (id: string, trustDomain: string) =>
    serverIds.some((one) => one === id || (one.startsWith('/') && `spiffe://${trustDomain}${one}` === id));
  for (const id of serverIds) if (!id.startsWith('/')) parseSpiffeId(id);
  return async (grpc) => {
    // At a start the certificate is on its way: an attempt without it would only begin a back-off.
    if (identity.svid() === undefined) await firstUpdate(identity, clock);
    return grpc.credentials.createFromSecureContext(tls.clientContext(), {
      checkServerIdentity(_, certificate) {
        const own = identity.svid()?.id.trustDomain ?? '';
        try {
          verifyPeer(
            chainOf(certificate),
            (domain) => (domain === own ? identity.bundle(domain) : undefined),
            {
              nowMs: clock.wallTime(),
              authorizer: (id) => isServer(id.toString(), own),
            },
          );
          return undefined;
        } catch (error) {
          return error instanceof Error ? error : new Error(String(error));
        }
      },
    });
  };
}

/** Waits for a change of the identity, but not for long: then the connection fails and says why. */
function firstUpdate(identity: IdentitySource, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      timer.cancel();
      unsubscribe();
      resolve();
    };
    const timer = clock.schedule(FIRST_CERTIFICATE_MS, done);
    const unsubscribe = identity.onUpdate(done);
  });
}

const FIRST_CERTIFICATE_MS = 5_000;

/** The DER certificates that the other end presented, leaf first. */
export function chainOf(certificate: PeerCertificate): Uint8Array[] {
  const chain: Uint8Array[] = [];
  const seen = new Set<string>();
  // Node gives the detailed form here; a root is its own issuer.
  let next: (PeerCertificate & { issuerCertificate?: PeerCertificate }) | undefined = certificate;
  while (next?.raw !== undefined && !seen.has(next.fingerprint256)) {
    seen.add(next.fingerprint256);
    chain.push(next.raw);
    next = next.issuerCertificate;
  }
  return chain;
}

type CallMetadata = InstanceType<Parameters<CredentialsSource>[0]['Metadata']>;

/** Adds the token to the metadata of a call, or tells why there is none. */
async function addToken(
  file: JwtTokenFile,
  metadata: CallMetadata,
  done: (error: Error | null, metadata?: CallMetadata) => void,
): Promise<void> {
  let token: string;
  try {
    token = await file.token();
  } catch (error) {
    done(error instanceof Error ? error : new Error(messageOf(error)));
    return;
  }
  metadata.set('authorization', `Bearer ${token}`);
  done(null, metadata);
}
