import { createSettableSource, type IdentitySource } from '../identity/source.js';
import { istioId } from '../identity/spiffe-id.js';
import { parseX509Svid } from '../identity/x509-svid.js';
import type { Clock, Timer } from '../runtime/clock.js';
import { messageOf } from '../runtime/errors.js';
import { parseIp } from '../runtime/ip.js';
import type { Logger } from '../runtime/log.js';
import type { CertificateAuthority } from './ca/certificate-authority.js';

/** Names and addresses under which clients on this machine call the control plane. */
const DNS_NAMES = ['localhost', 'istiod.istio-system.svc'];
const LOOPBACK = [Uint8Array.of(127, 0, 0, 1), Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)];
const RETRY_MS = 10_000;

/** The control plane's own certificate, issued by its own authority and renewed at half of its life. */
export interface OwnIdentity {
  readonly source: IdentitySource;
  close(): void;
}

export async function createOwnIdentity(
  authority: CertificateAuthority,
  {
    clock,
    logger,
    names,
  }: {
    readonly clock: Clock;
    readonly logger: Logger;
    /** Further names and IP addresses under which clients call. */
    readonly names: readonly string[];
  },
): Promise<OwnIdentity> {
  const source = createSettableSource();
  const id = istioId(authority.trustDomain, 'istio-system', 'istiod');
  const dnsNames = [...new Set([...DNS_NAMES, ...names.filter((name) => parseIp(name) === undefined)])];
  const ips = [...LOOPBACK, ...names.map(parseIp).filter((bytes) => bytes !== undefined)];
  let timer: Timer | undefined;
  const renew = async () => {
    const issued = await authority.issueServer({ id, dnsNames, ips });
    source.set({ svid: parseX509Svid(issued.chainPem, issued.privateKey), bundles: [authority.bundle()] });
    again(Math.max(1_000, (issued.notAfterMs - clock.wallTime()) / 2));
  };
  const again = (delayMs: number) => {
    timer?.cancel();
    timer = clock.schedule(delayMs, () => {
      renew().catch((error: unknown) => {
        logger.error({ error: messageOf(error) }, 'the control plane could not renew its own certificate');
        again(RETRY_MS);
      });
    });
  };
  const renewSoon = () => again(0);
  await renew();
  // Another root signs, or more are trusted.
  const unsubscribe = authority.onChange(renewSoon);
  return {
    source,
    close() {
      unsubscribe();
      timer?.cancel();
    },
  };
}
