import { encodeCertificateSecret, encodeRootsSecret } from '../../codec/secret.js';
import type { SpiffeId } from '../../identity/spiffe-id.js';
import type { Clock, Timer } from '../../runtime/clock.js';
import { messageOf } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/log.js';
import type { WireResource } from '../compile/resource-set.js';
import type { CertificateAuthority } from './certificate-authority.js';

/** Istio's names of what SDS serves: the workload's certificate with its key, and the roots of the mesh. */
const CERTIFICATE = 'default';
const ROOTS = 'ROOTCA';
/** Identities whose secrets are kept; beyond that the oldest are issued anew when they are asked for. */
const MAX_IDENTITIES = 10_000;

type Secrets = ReadonlyMap<string, WireResource>;

const NONE: Secrets = new Map();

/** What SDS serves to workloads that can't make keys themselves. */
export interface WorkloadSecrets {
  /**
   * The secrets of an identity; the same object as long as they are in force. Empty when it may have none, or is no
   * identity: then the function throws.
   */
  of(identity: () => SpiffeId): Secrets;
  close(): void;
}

/** Issues on demand, and anew at half of the life of a certificate; `renewed` hears of that. */
export function createWorkloadSecrets(
  authority: CertificateAuthority,
  {
    clock,
    logger,
    renewed,
  }: { readonly clock: Clock; readonly logger: Logger; readonly renewed: () => void },
): WorkloadSecrets {
  const issued = new Map<string, { readonly secrets: Secrets; readonly renewal: Timer }>();
  const drop = (key: string) => {
    issued.get(key)?.renewal.cancel();
    issued.delete(key);
  };
  const issue = (id: SpiffeId, key: string): Secrets => {
    const { chainPem, privateKey, notAfterMs } = authority.issueWithKey(id);
    const certificate = encodeCertificateSecret(CERTIFICATE, {
      // The root is what the other side has.
      chain: chainPem.slice(0, -1).join(''),
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    });
    const secrets: Secrets = new Map([
      [CERTIFICATE, { name: CERTIFICATE, bytes: certificate }],
      [ROOTS, { name: ROOTS, bytes: encodeRootsSecret(ROOTS, authority.rootPem()) }],
    ]);
    // Who is still there asks again when it hears of the change; who is not needs no new one.
    const renewal = clock.schedule(Math.max(1_000, (notAfterMs - clock.wallTime()) / 2), () => {
      issued.delete(key);
      renewed();
    });
    issued.set(key, { secrets, renewal });
    const [oldest] = issued.keys();
    if (issued.size > MAX_IDENTITIES && oldest !== undefined) drop(oldest);
    return secrets;
  };
  return {
    of(identity) {
      try {
        const id = identity();
        const key = id.toString();
        return issued.get(key)?.secrets ?? issue(id, key);
      } catch (error) {
        logger.warn({ error: messageOf(error) }, 'no secret was issued');
        return NONE;
      }
    },
    close() {
      for (const key of issued.keys()) drop(key);
    },
  };
}
