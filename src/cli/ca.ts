import { readFile } from 'node:fs/promises';
import {
  bundleDocument,
  type CaStatus,
  type CertificateAuthority,
  crlPem,
  openCertificateAuthority,
  revocable,
} from '../control-plane.js';
import { parseSpiffeId } from '../identity.js';
import { codeOf, MeshError, messageOf } from '../runtime/errors.js';
import type { Output } from './output.js';
import { age, type Format, print } from './print.js';
import { askStatus, type StatusApi } from './status-api.js';

/** Which authority a command is for. */
export interface CaTarget {
  /** Data folder of the control plane. */
  readonly data: string;
  readonly passphrase: string | undefined;
  readonly passphraseFile: string | undefined;
  readonly format: Format;
}

const REFUSED = 1;

function open({ data, passphrase, passphraseFile }: CaTarget): Promise<CertificateAuthority> {
  return openCertificateAuthority({ directory: data, passphrase, passphraseFile });
}

/** Runs a step; one that can't be taken now is a finding, not a failure. */
async function step(output: Output, act: () => Promise<void>): Promise<number> {
  try {
    await act();
    return 0;
  } catch (error) {
    if (codeOf(error) !== 'INMESH_CA_ROTATION') throw error;
    output.err(`${messageOf(error)}\n`);
    return REFUSED;
  }
}

/** `inmesh ca status` */
export async function caStatus(
  target: CaTarget & { readonly server: StatusApi | undefined },
  output: Output,
): Promise<number> {
  const status =
    target.server === undefined ? (await open(target)).status() : await fetchStatus(target.server);
  await print(output, target.format, status, () => statusRows(status));
  return 0;
}

/** What a running control plane says, with how far its clients are. */
async function fetchStatus(api: StatusApi): Promise<CaStatus> {
  // The control plane's own API; what it lacks shows as undefined.
  return (await askStatus(api, '/api/ca')) as CaStatus;
}

function statusRows(status: CaStatus): readonly (readonly string[])[] {
  const rows = [['KIND', 'PHASE', 'FINGERPRINT', 'KEY', 'EXPIRES', 'LEFT', 'USED']];
  for (const root of status.roots) {
    for (const [kind, one] of [
      ['root', root] as const,
      ...root.intermediates.map((intermediate) => ['intermediate', intermediate] as const),
    ]) {
      const used = `${Math.round(one.used * 100)}%`;
      rows.push([
        kind,
        one.phase,
        one.fingerprint.slice(0, 16),
        one.key,
        one.notAfter,
        age(one.secondsLeft),
        used,
      ]);
    }
  }
  return rows;
}

/** `inmesh ca root` */
export async function caRoot(target: CaTarget, output: Output): Promise<number> {
  output.out((await open(target)).rootPem());
  return 0;
}

/** `inmesh ca rotate` */
export async function caRotate(
  target: CaTarget & { readonly force: boolean; readonly hold: boolean; readonly abandon: boolean },
  output: Output,
): Promise<number> {
  const { rotation } = await open(target);
  return step(output, async () => {
    if (target.abandon) {
      await rotation.abandon();
      output.err('the rotation was given up\n');
      return;
    }
    await rotation.begin({ waits: target.hold });
    if (target.force) await rotation.activate({ force: true });
    const next = target.hold
      ? 'inmesh ca activate'
      : 'it goes on by itself while the control plane runs (inmesh ca status)';
    output.err(
      target.force ? 'a new root signs from now on\n' : `a new root is being distributed; next: ${next}\n`,
    );
  });
}

/** `inmesh ca activate` */
export async function caActivate(
  target: CaTarget & { readonly force: boolean },
  output: Output,
): Promise<number> {
  const { rotation } = await open(target);
  return step(output, async () => {
    if (target.force) await rotation.activate({ force: true });
    else await rotation.goOn();
    output.err(
      target.force
        ? 'the new root signs from now on\n'
        : 'the new root signs as soon as 99 % of clients trust it\n',
    );
  });
}

/** `inmesh ca retire` */
export async function caRetire(
  target: CaTarget & { readonly force: boolean },
  output: Output,
): Promise<number> {
  const { rotation } = await open(target);
  return step(output, async () => {
    await rotation.retire({ force: target.force });
    output.err('the old root is distrusted from now on\n');
  });
}

/** `inmesh ca revoke` */
export async function caRevoke(
  target: CaTarget & {
    readonly names: readonly string[];
    readonly undo: boolean;
    readonly reason: string | undefined;
    readonly forMs: number | undefined;
  },
  output: Output,
): Promise<number> {
  const { revocation } = await open(target);
  const { names, undo, reason, forMs } = target;
  let code = 0;
  for (const name of names) {
    const what = await revocable(name);
    if (!undo) await revocation.revoke({ ...what, reason, forMs });
    else if (!(await revocation.restore(what))) {
      output.err(`${name} is not revoked\n`);
      code = REFUSED;
    }
  }
  const list = revocation.list();
  await print(output, target.format, list, () => [
    ['KIND', 'VALUE', 'SINCE', 'UNTIL', 'REASON'],
    ...list.map(({ kind, value, atMs, untilMs, reason: why = '' }) => [
      kind.slice(0, -1),
      value,
      new Date(atMs).toISOString(),
      untilMs === undefined ? 'for ever' : new Date(untilMs).toISOString(),
      why,
    ]),
  ]);
  return code;
}

/** `inmesh ca crl` */
export async function caCrl(target: CaTarget & { readonly der: boolean }, output: Output): Promise<number> {
  const der = (await open(target)).revocation.crl();
  // Text is all that an output takes, so bytes go out in the one encoding that keeps them.
  output.out(target.der ? `${Buffer.from(der).toString('base64')}\n` : crlPem(der));
  return 0;
}

/** `inmesh ca issue` */
export async function caIssue(
  target: CaTarget & { readonly id: string; readonly csr: string; readonly lifeMs: number | undefined },
  output: Output,
): Promise<number> {
  const authority = await open(target);
  const csrPem = await readText(target.csr);
  const issued = await authority.certify({
    csrPem,
    id: parseSpiffeId(target.id),
    lifeMs: target.lifeMs,
    authenticator: 'operator',
  });
  const { chainPem, serial, notAfterMs } = issued;
  if (target.format === 'table') output.out(chainPem.join(''));
  else
    await print(
      output,
      target.format,
      { serial, notAfter: new Date(notAfterMs).toISOString(), chain: chainPem },
      () => [],
    );
  return 0;
}

/** `inmesh ca bundle` */
export async function caBundle(
  target: CaTarget & { readonly spiffe: boolean },
  output: Output,
): Promise<number> {
  const authority = await open(target);
  output.out(target.spiffe ? `${bundleDocument(authority)}\n` : authority.bundle().authorities.join(''));
  return 0;
}

/** `inmesh ca import` */
export async function caImport(
  target: CaTarget & {
    readonly certificate: string;
    readonly key: string;
    readonly keyPassphrase: string | undefined;
    readonly hold: boolean;
  },
  output: Output,
): Promise<number> {
  const authority = await open(target);
  const [certificatePem, keyPem] = await Promise.all([readText(target.certificate), readText(target.key)]);
  return step(output, async () => {
    const root = { certificatePem, keyPem, passphrase: target.keyPassphrase };
    await authority.rotation.begin({ waits: target.hold, root });
    output.err('the imported root is being distributed (inmesh ca status)\n');
  });
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path === '-' ? '/dev/stdin' : path, 'utf8');
  } catch (error) {
    throw new MeshError('INMESH_OPTION_INVALID', `the file can not be read: ${messageOf(error)}`, {
      resource: path,
      cause: error,
      hint: 'Check the path and its permission; - reads from the standard input',
    });
  }
}
