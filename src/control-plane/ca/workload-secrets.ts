import type { KeyObject } from 'node:crypto';
import { encodeCertificateSecret } from '../../codec/secret.js';
import type { SpiffeId } from '../../identity/spiffe-id.js';
import type { Clock, Timer } from '../../runtime/clock.js';
import { messageOf } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/log.js';
import type { AuditLog } from '../audit/audit-log.js';
import type { WireResource } from '../resources/resource-set.js';
import type { CertificateAuthority } from './certificate-authority.js';
import type { IssuedCertificate } from './issuer.js';
import { createTrustSecrets, type TrustSecrets } from './trust-secrets.js';

/** Istio's name of the workload's certificate with its key. */
export const CERTIFICATE_SECRET = 'default';
/** Identities whose secrets are kept; beyond that the oldest are issued anew when they are asked for. */
const MAX_IDENTITIES = 10_000;

type Secrets = ReadonlyMap<string, WireResource>;

const NONE: Secrets = new Map();

/** What SDS serves to workloads that can't make keys themselves. */
export interface WorkloadSecrets {
  /**
   * The secrets of an identity; the same object as long as they are in force. Empty when it may have none, or is no
   * identity: then the function throws. Empty, too, while somebody else signs: `renewed` tells when it is there.
   */
  of(identity: () => SpiffeId): Secrets;
  /** Content of the certificate secret in force of an identity. */
  current(id: string): Uint8Array | undefined;
  close(): void;
}

export interface WorkloadSecretsOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly renewed: () => void;
  /** Where it is written down who got a certificate with its key. */
  readonly audit?: AuditLog | undefined;
  /** Default: made of the authority. */
  readonly trust?: TrustSecrets;
}

type Keyed = IssuedCertificate & { readonly privateKey: KeyObject };

interface Held {
  readonly secrets: Secrets;
  readonly renewal: Timer;
}

/** Issues on demand, and anew at half of the life of a certificate and when the authority changes; `renewed` hears of that. */
export function createWorkloadSecrets(
  authority: CertificateAuthority,
  options: WorkloadSecretsOptions,
): WorkloadSecrets {
  const { clock, logger, renewed } = options;
  const trust = options.trust ?? createTrustSecrets(authority);
  const issued = new Map<string, Held>();
  const awaited = new Set<string>();
  const drop = (key: string) => {
    issued.get(key)?.renewal.cancel();
    issued.delete(key);
  };
  const hold = (key: string, keyed: Keyed): Secrets => {
    const secrets = secretsOf(keyed, trust);
    writeDown(key, keyed, options);
    // Who is still there asks again when it hears of the change; who is not needs no new one.
    const renewal = clock.schedule(Math.max(1_000, (keyed.notAfterMs - clock.wallTime()) / 2), () => {
      issued.delete(key);
      renewed();
    });
    issued.set(key, { secrets, renewal });
    const [oldest] = issued.keys();
    if (issued.size > MAX_IDENTITIES && oldest !== undefined) drop(oldest);
    return secrets;
  };
  const wait = (id: SpiffeId, key: string): Secrets => {
    if (awaited.has(key)) return NONE;
    awaited.add(key);
    authority
      .issueServer({ id })
      .then((keyed) => void hold(key, keyed))
      .catch((error: unknown) => logger.warn({ error: messageOf(error) }, 'no secret was issued'))
      .finally(() => {
        awaited.delete(key);
        if (issued.has(key)) renewed();
      });
    return NONE;
  };
  const unsubscribe = authority.onChange(() => {
    for (const key of issued.keys()) drop(key);
    renewed();
  });
  return {
    of(identity) {
      try {
        const id = identity();
        const key = id.toString();
        const known = issued.get(key)?.secrets;
        if (known !== undefined) return known;
        return authority.isExternal ? wait(id, key) : hold(key, authority.issueWithKey(id));
      } catch (error) {
        const reason = messageOf(error);
        logger.warn({ error: reason }, 'no secret was issued');
        options.audit?.note({
          action: 'certificate.issue',
          outcome: 'refused',
          authenticator: 'sds',
          reason,
        });
        return NONE;
      }
    },
    current: (id) => issued.get(id)?.secrets.get(CERTIFICATE_SECRET)?.bytes,
    close() {
      unsubscribe();
      for (const key of issued.keys()) drop(key);
    },
  };
}

/** A write that fails is in the log: who asks for secrets again and again can't wait for a disk. */
function writeDown(id: string, keyed: Keyed, { audit, logger }: WorkloadSecretsOptions): void {
  audit
    ?.record({
      action: 'certificate.issue',
      outcome: 'allowed',
      actor: id,
      authenticator: 'sds',
      target: id,
      details: {
        serial: keyed.serial,
        notBefore: new Date(keyed.notBeforeMs).toISOString(),
        notAfter: new Date(keyed.notAfterMs).toISOString(),
      },
    })
    .catch((error: unknown) =>
      logger.error({ error: messageOf(error), id }, 'an issued certificate could not be written down'),
    );
}

function secretsOf({ chainPem, privateKey }: Keyed, trust: TrustSecrets): Secrets {
  const certificate = encodeCertificateSecret(CERTIFICATE_SECRET, {
    // The root is what the other side has.
    chain: chainPem.slice(0, -1).join(''),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  });
  const roots = trust.roots();
  return new Map([
    [CERTIFICATE_SECRET, { name: CERTIFICATE_SECRET, bytes: certificate }],
    [roots.name, roots],
  ]);
}
