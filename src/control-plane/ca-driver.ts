import { istioId } from '../identity/spiffe-id.js';
import { TRUST_SECRET } from '../model/trust.js';
import type { Clock, Timer } from '../runtime/clock.js';
import { messageOf } from '../runtime/errors.js';
import type { Logger } from '../runtime/log.js';
import type { CertificateAuthority } from './ca/certificate-authority.js';
import type { RotationClients } from './ca/rotation-steps.js';
import { ROOTS_SECRET, type TrustSecrets } from './ca/trust-secrets.js';
import { CERTIFICATE_SECRET, type WorkloadSecrets } from './ca/workload-secrets.js';
import type { LiveClient } from './serve/live-clients.js';

const LOOK_MS = 1_000;
/** After a start, clients need a moment to come back: until then their number says nothing. */
const SETTLE_MS = 15_000;
/** Parts of a root's life at which its operator is told. */
const WARN_AT = [0.95, 0.8, 0.5] as const;

export interface CaDriverOptions {
  readonly authority: CertificateAuthority;
  readonly trust: TrustSecrets;
  readonly secrets: WorkloadSecrets;
  readonly clients: () => readonly LiveClient[];
  readonly clock: Clock;
  readonly logger: Logger;
  /** Default 15 s. */
  readonly settleMs?: number | undefined;
}

/** Keeps an authority going: looks for changes, takes the steps of rotations when clients are ready, warns in time. */
export interface CaDriver {
  /** How far the clients are. */
  clients(): RotationClients;
  close(): void;
}

export function createCaDriver(options: CaDriverOptions): CaDriver {
  const { authority, clock, logger, settleMs = SETTLE_MS } = options;
  const startedMs = clock.now();
  const warned = new Map<string, number>();
  let isClosed = false;
  let timer: Timer | undefined;
  const look = async () => {
    try {
      await authority.refresh();
      if (clock.now() - startedMs >= settleMs) await authority.rotation.advance(countClients(options));
      warnOfAge(authority, warned, logger);
    } catch (error) {
      logger.error({ error: messageOf(error) }, 'the certificate authority could not be looked after');
    }
    again();
  };
  const again = () => {
    if (!isClosed) timer = clock.schedule(LOOK_MS, () => void look());
  };
  again();
  return {
    clients: () => countClients(options),
    close() {
      isClosed = true;
      timer?.cancel();
    },
  };
}

function countClients(options: CaDriverOptions): RotationClients {
  const trusting = { live: 0, ready: 0 };
  const renewed = { live: 0, ready: 0 };
  for (const client of options.clients()) {
    const state = stateOf(client, options);
    if (state === undefined) continue;
    trusting.live++;
    renewed.live++;
    if (state.isTrusting) trusting.ready++;
    if (state.isRenewed) renewed.ready++;
  }
  return { trusting, renewed };
}

/** Undefined for a client that has nothing to do with certificates of this authority. */
function stateOf(
  client: LiveClient,
  { authority, trust, secrets }: CaDriverOptions,
): { readonly isTrusting: boolean; readonly isRenewed: boolean } | undefined {
  const { NAMESPACE, SERVICE_ACCOUNT } = client.node.metadata;
  const id =
    client.spiffeId ??
    istioId(authority.trustDomain, NAMESPACE || 'default', SERVICE_ACCOUNT || 'default').toString();
  const hasSecret = client.asksFor('SDS', CERTIFICATE_SECRET);
  const asks = client.asksFor('SDS', TRUST_SECRET) || client.asksFor('SDS', ROOTS_SECRET);
  if (!asks && !hasSecret && !authority.rotation.knows(id, client.node.id)) return undefined;
  const isTrusting =
    isSame(client.accepted('SDS', TRUST_SECRET), trust.trust().bytes) ||
    isSame(client.accepted('SDS', ROOTS_SECRET), trust.roots().bytes);
  if (!hasSecret) {
    const isBare = !authority.rotation.knows(id, client.node.id);
    // A member that has its certificate from elsewhere has nothing to renew here.
    return { isTrusting, isRenewed: isBare || authority.rotation.hasRenewed(id, client.node.id) };
  }
  const accepted = client.accepted('SDS', CERTIFICATE_SECRET);
  const current = secrets.current(id);
  return { isTrusting, isRenewed: current !== undefined && isSame(accepted, current) };
}

function isSame(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a !== undefined && Buffer.compare(a, b) === 0;
}

/** Once for each step of each authority. */
function warnOfAge(authority: CertificateAuthority, warned: Map<string, number>, logger: Logger): void {
  const { roots, issuing } = authority.status();
  for (const one of [...roots, ...(issuing === undefined ? [] : [issuing])]) {
    const step = WARN_AT.find((share) => one.used >= share) ?? 0;
    // Intermediates that follow each other by themselves are nobody's business before they are late.
    const isOwnIntermediate = roots.some(({ intermediates }) =>
      intermediates.some(({ fingerprint }) => fingerprint === one.fingerprint),
    );
    if (step <= (warned.get(one.fingerprint) ?? 0) || (isOwnIntermediate && step < 0.95)) continue;
    warned.set(one.fingerprint, step);
    const level = step >= 0.8 ? 'error' : 'warn';
    logger[level](
      { subject: one.subject, notAfter: one.notAfter, used: `${step * 100} %` },
      'a certificate authority grows old: replace it in time (inmesh ca rotate, or plug a new one in)',
    );
  }
}
