import { parseCertificate, type X509Bundle } from '../../identity/bundle.js';
import { readPem, writePem } from '../../identity/pem.js';
import { serialText } from '../../identity/revocation.js';
import type { SpiffeId } from '../../identity/spiffe-id.js';
import { verifyPeer } from '../../identity/verify.js';
import { equalBytes, GeneralNameTag, latin1 } from '../../identity/x509.js';
import type { Clock } from '../../runtime/clock.js';
import { MeshError, messageOf } from '../../runtime/errors.js';
import type { IssuedCertificate } from './issuer.js';

const TIMEOUT_MS = 10_000;
const ATTEMPTS = 3;
const FIRST_RETRY_MS = 200;
/** Clocks of two machines differ; a certificate may begin that much earlier than asked. */
const SKEW_MS = 300_000;

/** What an external authority is asked to sign. Its names are those here, whatever the request says. */
export interface SigningTemplate {
  /** The caller's signing request: proof that it holds the key. Its subject and names count for nothing. */
  readonly csrPem: string;
  /** The only URI of the certificate. */
  readonly spiffeId: string;
  readonly dnsNames: readonly string[];
  readonly ips: readonly Uint8Array[];
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** Istio's `CertSigner` of the request, when it names one. */
  readonly certSigner: string | undefined;
}

/** A certificate authority elsewhere, such as Vault, ACM or cert-manager. */
export interface CaSigner {
  /** PEM of its roots; asked again now and then. */
  roots(): Promise<string>;
  /** PEM of the certificate and of those between it and the root, leaf first. May be called again after an error. */
  sign(template: SigningTemplate, signal: AbortSignal): Promise<readonly string[]>;
  /** Limit of one attempt; default 10 s. */
  readonly timeoutMs?: number;
  /** How often an attempt that failed is made again; default 3 in all. */
  readonly attempts?: number;
}

/** What is known of the answer to a template. */
interface Expected {
  readonly id: SpiffeId;
  readonly spkiDer: Uint8Array;
  readonly bundle: X509Bundle;
  readonly clock: Clock;
}

/** Has a certificate signed elsewhere, and believes the answer only if it is what was asked for. */
export async function signExternally(
  signer: CaSigner,
  template: SigningTemplate,
  expected: Expected,
): Promise<IssuedCertificate> {
  const { attempts = ATTEMPTS, timeoutMs = TIMEOUT_MS } = signer;
  let failure: unknown;
  for (let attempt = 0; attempt < attempts; attempt++) {
    if (attempt > 0) await pause(expected.clock, FIRST_RETRY_MS * 2 ** (attempt - 1));
    let answer: readonly string[];
    try {
      answer = await withinTime(expected.clock, timeoutMs, (signal) => signer.sign(template, signal));
    } catch (error) {
      // A refusal is an answer.
      if (MeshError.is(error) && error.code === 'INMESH_CA_REFUSED') throw error;
      failure = error;
      continue;
    }
    return checked(answer, template, expected);
  }
  throw new MeshError(
    'INMESH_CA_UNAVAILABLE',
    `the external certificate authority did not sign: ${messageOf(failure)}`,
    {
      resource: template.spiffeId,
      cause: failure,
      hint: 'Look at its log; workloads keep their certificates until those expire, and ask again',
    },
  );
}

function checked(
  answer: readonly string[],
  template: SigningTemplate,
  expected: Expected,
): IssuedCertificate {
  const { id, spkiDer, bundle, clock } = expected;
  const ders = answer.flatMap((pem) => readPem(pem, 'CERTIFICATE'));
  const [leafDer] = ders;
  if (leafDer === undefined) throw wrong(template, 'it holds no certificate');
  try {
    const leaf = parseCertificate(leafDer, template.spiffeId);
    if (!equalBytes(leaf.facts.spkiDer, spkiDer)) throw wrong(template, 'it is for another key');
    checkNames(leaf.facts.subjectAltNames, template);
    if (
      leaf.facts.notAfterMs > template.notAfterMs + 1000 ||
      leaf.facts.notBeforeMs < template.notBeforeMs - SKEW_MS
    )
      throw wrong(template, 'it lives longer than was asked for');
    const path = ders.filter((der) => !isRoot(der, bundle));
    const peer = verifyPeer(path, (name) => (name === bundle.trustDomain ? bundle : undefined), {
      nowMs: clock.wallTime(),
    });
    if (!peer.id.equals(id)) throw wrong(template, `it is for ${peer.id}`);
    const root = rootOf(path, bundle);
    return {
      chainPem: [...path.map((der) => writePem(der, 'CERTIFICATE')), ...root],
      notBeforeMs: leaf.facts.notBeforeMs,
      notAfterMs: leaf.facts.notAfterMs,
      serial: serialText(leaf.facts.serial),
    };
  } catch (error) {
    if (MeshError.is(error) && error.code === 'INMESH_CA_UNFIT') throw error;
    throw wrong(template, messageOf(error), error);
  }
}

/** Nobody may be let in under a name that was not asked for. */
function checkNames(
  names: readonly { readonly tag: number; readonly value: Uint8Array }[],
  { spiffeId, dnsNames, ips }: SigningTemplate,
): void {
  const allowed = new Set([
    `${GeneralNameTag.uri}:${spiffeId}`,
    ...dnsNames.map((name) => `${GeneralNameTag.dns}:${name}`),
    ...ips.map((ip) => `${GeneralNameTag.ip}:${latin1(ip)}`),
  ]);
  for (const { tag, value } of names) {
    if (!allowed.has(`${tag}:${latin1(value)}`)) throw new TypeError('it has a name that was not asked for');
  }
}

function isRoot(der: Uint8Array, { certificates }: X509Bundle): boolean {
  return certificates.some(({ certificate }) => equalBytes(certificate.raw, der));
}

function rootOf(path: readonly Uint8Array[], { certificates, authorities }: X509Bundle): readonly string[] {
  const top = path[path.length - 1];
  const last = top && parseCertificate(top, 'chain');
  const index = certificates.findIndex(
    ({ facts, publicKey }) =>
      last !== undefined &&
      equalBytes(facts.subjectDer, last.facts.issuerDer) &&
      last.certificate.verify(publicKey),
  );
  const root = authorities[index];
  return root === undefined ? [] : [root];
}

async function withinTime<T>(
  clock: Clock,
  ms: number,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  let cancel = () => {};
  const late = new Promise<never>((_, reject) => {
    const timer = clock.schedule(ms, () => {
      const error = new Error(`no answer within ${ms} ms`);
      controller.abort(error);
      reject(error);
    });
    cancel = () => timer.cancel();
  });
  try {
    return await Promise.race([work(controller.signal), late]);
  } finally {
    cancel();
  }
}

function pause(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => {
    clock.schedule(ms, resolve);
  });
}

function wrong({ spiffeId }: SigningTemplate, what: string, cause?: unknown): MeshError {
  return new MeshError(
    'INMESH_CA_UNFIT',
    `the answer of the external certificate authority is not used: ${what}`,
    { resource: spiffeId, cause, hint: 'Have it sign exactly what the template says: key, names and dates' },
  );
}
