import type { Metadata, ServerInterceptingCallInterface, ServerInterceptor } from '@grpc/grpc-js';
import { atWallTime } from '../../identity/wall-timer.js';
import type { Clock, Timer } from '../../runtime/clock.js';
import { messageOf } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/log.js';
import type { AuditLog } from '../audit/audit-log.js';
import { type Authenticator, UNAUTHENTICATED } from '../ca/authenticate.js';
import { isLoopbackPeer } from '../ca/peer-address.js';
import type { CallerIdentity, CallerTable } from './caller.js';
import { writesDirectly } from './direct-writes.js';
import { addressOf, type PeerLimits } from './peer-limits.js';

const STATUS_RESOURCE_EXHAUSTED = 8;
const STATUS_UNIMPLEMENTED = 12;
const STATUS_UNAVAILABLE = 14;
const STATUS_UNAUTHENTICATED = 16;

/** How callers of the gRPC services are judged before anything is read of them. */
export interface AccessOptions {
  readonly callers: CallerTable;
  /** Recognises tokens that may be used again and again. */
  readonly authenticate: Authenticator;
  /** Whether processes of this machine need no proof. */
  readonly trustsLoopback: boolean;
  /** How often an address may call without a certificate. */
  readonly limits: PeerLimits;
  readonly audit: AuditLog;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Services that ask for more than who calls by themselves: their callers may have nothing yet but a join token. */
const OWN_AUTHENTICATION = '/istio.v1.auth.IstioCertificateService/';

type Verdict =
  | { readonly kind: 'pass'; readonly caller?: CallerIdentity }
  | { readonly kind: 'refuse'; readonly code: number; readonly details: string };

/**
 * Decides for each call, in either protocol and for every service, before a byte of its messages is read: by the
 * certificate of the connection, else by a token. Who has neither is nobody, and goes no further.
 */
export function accessInterceptor(
  grpc: typeof import('@grpc/grpc-js'),
  options: AccessOptions,
): ServerInterceptor {
  return (method, call) => {
    let expiry: Timer | undefined;
    return new grpc.ServerInterceptingCall(writesDirectly(grpc, call), {
      sendStatus(status, next) {
        expiry?.cancel();
        next(status);
      },
      start(next) {
        next({
          onCancel() {
            expiry?.cancel();
          },
          onReceiveMetadata(metadata, pass) {
            judge(method.path, call, metadata, options).then(
              (verdict) => {
                if (verdict.kind === 'refuse') {
                  call.sendStatus({ code: verdict.code, details: verdict.details });
                  return;
                }
                const { caller } = verdict;
                if (caller !== undefined) options.callers.recognise(metadata, caller);
                if (caller?.expiresAtMs !== undefined)
                  expiry = atWallTime(options.clock, caller.expiresAtMs, () => call.sendStatus(EXPIRED));
                pass(metadata);
              },
              (error: unknown) => {
                refused(call, method.path, messageOf(error), options);
                call.sendStatus({ code: STATUS_UNAUTHENTICATED, details: UNAUTHENTICATED });
              },
            );
          },
        });
      },
    });
  };
}

/** Whoever renews its token comes back with the new one, and is told what it has missed; whoever can't is refused then. */
const EXPIRED = { code: STATUS_UNAVAILABLE, details: 'the token of this call has expired' };

async function judge(
  path: string,
  call: ServerInterceptingCallInterface,
  metadata: Metadata,
  options: AccessOptions,
): Promise<Verdict> {
  const peer = call.getPeer();
  if (options.callers.find(peer) !== undefined) return PASS;
  const isTrusted = options.trustsLoopback && isLoopbackPeer(peer);
  if (!isTrusted && isCompressed(call)) {
    // A few bytes would become megabytes for somebody whom nobody knows.
    return { kind: 'refuse', code: STATUS_UNIMPLEMENTED, details: 'compression needs a client certificate' };
  }
  if (!options.limits.take(addressOf(peer)))
    return {
      kind: 'refuse',
      code: STATUS_RESOURCE_EXHAUSTED,
      details: 'too many calls without a certificate',
    };
  if (path.startsWith(OWN_AUTHENTICATION)) return PASS;
  const identity = await options.authenticate({
    peerAddress: peer,
    metadata: (name) => onlyValue(metadata, name),
  });
  if (identity !== undefined) {
    const { id, expiresAtMs } = identity;
    return { kind: 'pass', caller: { spiffeId: id.toString(), expiresAtMs } };
  }
  if (isTrusted) return PASS;
  throw new Error('neither a certificate nor a token that is known');
}

const PASS: Verdict = { kind: 'pass' };

/** A header that stands there twice is none: nobody shall choose which one counts. */
export function onlyValue(metadata: Metadata, name: string): string | undefined {
  const values = metadata.get(name);
  return values.length === 1 ? values[0]?.toString() : undefined;
}

/** grpc-js takes the header out of the metadata, and keeps what it said in a field that its types do not show. */
function isCompressed(call: ServerInterceptingCallInterface): boolean {
  return 'incomingEncoding' in call && call.incomingEncoding !== 'identity';
}

function refused(
  call: ServerInterceptingCallInterface,
  path: string,
  reason: string,
  { audit, logger }: AccessOptions,
): void {
  const peer = call.getPeer();
  logger.warn({ peer, path, reason }, 'a call was refused');
  audit.note({ action: 'call', outcome: 'refused', peer, target: path, reason });
}
