import type { X509Bundle } from '../identity/bundle.js';
import { istioId, parseSpiffeId, type SpiffeId } from '../identity/spiffe-id.js';
import type { Node } from '../model/node.js';
import { TRUST_SECRET } from '../model/trust.js';
import type { Unsubscribe } from '../runtime/abort.js';
import type { Clock } from '../runtime/clock.js';
import { MeshError } from '../runtime/errors.js';
import type { Logger } from '../runtime/log.js';
import type { AuditLog } from './audit/audit-log.js';
import { type CertificateAuthority, createCertificateAuthority } from './ca/certificate-authority.js';
import { createDirectoryCaStore } from './ca/directory-store.js';
import type { CaSigner } from './ca/external-signer.js';
import { JoinedSecrets } from './ca/joined-secrets.js';
import type { PluggedCa } from './ca/plugged-authority.js';
import { readPassphrase } from './ca/private-key.js';
import type { CaKeyType } from './ca/root.js';
import { createTrustSecrets, type TrustSecrets } from './ca/trust-secrets.js';
import { createWorkloadSecrets } from './ca/workload-secrets.js';
import { type CaDriver, createCaDriver } from './ca-driver.js';
import type { ResourceSet, WireResource } from './resources/resource-set.js';
import type { CallerIdentity } from './serve/caller.js';
import type { LiveClient } from './serve/live-clients.js';

/** What a control plane's certificate authority is; everything has a default. */
export interface ControlPlaneCaOptions {
  /** An intermediate that somebody else made, in files (PEM, PKCS #12, Istio's `cacerts`); read again when they change. */
  readonly plugged?: PluggedCa;
  /** Signs in place of a key that is here. */
  readonly signer?: CaSigner;
  /** Encrypts the keys in `dataDir`; without it their file's mode (0600) protects them. */
  readonly passphrase?: string;
  /** File of mode 0600 with that passphrase. */
  readonly passphraseFile?: string;
  /** Of roots and intermediates that are made here. Default `ecdsa-p256`. */
  readonly keyType?: CaKeyType;
  /** Default 3650 days. */
  readonly rootLifeMs?: number;
  /** Leaves are signed by intermediates that live so long and follow each other by themselves; default: by the root. */
  readonly intermediateLifeMs?: number;
  /** Longest life of a certificate that a workload can ask for, in milliseconds. Default 90 days. */
  readonly maxWorkloadLifeMs?: number;
  /** Renewals that a change of roots causes are spread over so long, in milliseconds. Default 10 000. */
  readonly renewWithinMs?: number;
  /** A rotation takes no step by itself for so long after a start, so that clients can come back. Default 15 000 ms. */
  readonly settleMs?: number;
}

/** What the authority of a control plane is opened with. */
export interface OpenAuthorityOptions {
  readonly trustDomain: string;
  readonly options: ControlPlaneCaOptions;
  readonly dataDir: string | undefined;
  readonly workloadLifeMs: number | undefined;
  readonly auditLog?: AuditLog | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Opens the authority of a control plane. */
export async function openAuthority({
  trustDomain,
  options,
  dataDir,
  workloadLifeMs,
  auditLog,
  clock,
  logger,
}: OpenAuthorityOptions): Promise<CertificateAuthority> {
  const { passphrase, passphraseFile, settleMs: _, ...rest } = options;
  return createCertificateAuthority({
    ...rest,
    trustDomain,
    clock,
    logger,
    auditLog,
    passphrase: await readPassphrase({ passphrase, passphraseFile }),
    ...(workloadLifeMs !== undefined && { workloadLifeMs }),
    ...(dataDir !== undefined && { store: createDirectoryCaStore(dataDir) }),
  });
}

/** What xDS has to do with the authority. */
export interface AuthorityServing {
  /** The resources of a node with the secrets that it may have. */
  withSecrets(set: ResourceSet, node: Node, caller: CallerIdentity | undefined): ResourceSet;
  /** Looks after the authority from now on. */
  drive(clients: () => readonly LiveClient[], settleMs: number | undefined): CaDriver;
  close(): void;
}

/** The bundle of another trust domain that is kept current, such as `createBundleEndpointSource` of `inmesh/identity`. */
export interface FederatedSource {
  readonly trustDomain: string;
  /** The last good one; undefined while there is none. */
  bundle(): { readonly x509: X509Bundle } | undefined;
  onUpdate(listener: () => void): Unsubscribe;
  close(): void;
}

/** Has members trust other trust domains, each by its own bundle; ends the sources with itself. */
export function federateAuthority(
  authority: CertificateAuthority,
  sources: readonly FederatedSource[],
): Unsubscribe {
  const own = sources.find(({ trustDomain }) => trustDomain === authority.trustDomain);
  const names = new Set(sources.map(({ trustDomain }) => trustDomain));
  if (own !== undefined || names.size < sources.length) {
    throw new MeshError(
      'INMESH_OPTION_INVALID',
      'a trust domain is federated with itself, or twice with another',
      {
        resource: own?.trustDomain ?? [...names].join(', '),
        hint: 'Name every other trust domain once',
      },
    );
  }
  const update = () =>
    authority.setFederated(
      sources.flatMap((source) => {
        const x509 = source.bundle()?.x509;
        return x509 === undefined || x509.trustDomain !== source.trustDomain ? [] : [x509];
      }),
    );
  const ends = sources.map((source) => source.onUpdate(update));
  update();
  return () => {
    for (const end of ends) end();
    for (const source of sources) source.close();
  };
}

/** Serves secrets and whom to trust; `changed` hears when any of that did. */
export function serveAuthority(
  authority: CertificateAuthority,
  tools: {
    readonly clock: Clock;
    readonly logger: Logger;
    readonly audit: AuditLog;
    readonly changed: () => void;
  },
): AuthorityServing {
  const { clock, logger, audit, changed } = tools;
  const trust = createTrustSecrets(authority);
  const secrets = createWorkloadSecrets(authority, { clock, logger, audit, renewed: changed, trust });
  const unsubscribe = authority.onChange(changed);
  const ofMembers = secretsOfMembers(trust);
  const joined = new JoinedSecrets();
  return {
    withSecrets(set, node, caller) {
      // Members make their keys themselves, so nothing is issued because they ask whom to trust.
      const find =
        node.metadata.INMESH_VERSION === undefined
          ? () => secrets.of(identityOf(authority.trustDomain, node, caller))
          : ofMembers;
      return {
        ...set,
        get secrets() {
          return joined.of(find(), set.secrets);
        },
      };
    },
    drive: (clients, settleMs) =>
      createCaDriver({ authority, trust, secrets, clients, clock, logger, settleMs }),
    close() {
      unsubscribe();
      secrets.close();
    },
  };
}

/** The same map as long as nothing changes. */
function secretsOfMembers(trust: TrustSecrets): () => ReadonlyMap<string, WireResource> {
  let made: { readonly of: WireResource; readonly secrets: ReadonlyMap<string, WireResource> } | undefined;
  return () => {
    const current = trust.trust();
    if (made?.of !== current) made = { of: current, secrets: new Map([[TRUST_SECRET, current]]) };
    return made.secrets;
  };
}

/** Secrets are issued when somebody asks for them, to whom its connection proved to be. */
function identityOf(trustDomain: string, node: Node, caller: CallerIdentity | undefined): () => SpiffeId {
  const { NAMESPACE, SERVICE_ACCOUNT } = node.metadata;
  // The port without TLS is on loopback, where processes are believed (see `loopbackAuthenticator`).
  return () =>
    caller === undefined
      ? istioId(trustDomain, NAMESPACE || 'default', SERVICE_ACCOUNT || 'default')
      : parseSpiffeId(caller.spiffeId);
}
