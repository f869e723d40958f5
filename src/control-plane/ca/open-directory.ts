import type { Clock } from '../../runtime/clock.js';
import { MeshError } from '../../runtime/errors.js';
import { isBarePem, trustDomainOf } from './ca-state.js';
import { type CertificateAuthority, createCertificateAuthority } from './certificate-authority.js';
import { createDirectoryCaStore } from './directory-store.js';
import { readPassphrase } from './private-key.js';

/** Where an authority is kept, and what opens it. */
export interface AuthorityDirectory {
  readonly directory: string;
  readonly passphrase?: string | undefined;
  /** File of mode 0600 with the passphrase. */
  readonly passphraseFile?: string | undefined;
  readonly clock?: Clock;
}

/**
 * Opens the authority in the data folder of a control plane, which may run or not: it follows what is changed here.
 * @throws MeshError `INMESH_STORE_CORRUPT`; `INMESH_OPTION_INVALID` when there is none.
 */
export async function openCertificateAuthority({
  directory,
  clock,
  ...secret
}: AuthorityDirectory): Promise<CertificateAuthority> {
  const store = createDirectoryCaStore(directory);
  const text = await store.load();
  if (text === undefined) {
    throw new MeshError('INMESH_OPTION_INVALID', 'there is no certificate authority', {
      resource: directory,
      hint: 'Name the data folder of the control plane, or start one with it: npx inmesh dev --data <folder>',
    });
  }
  if (isBarePem(text)) {
    throw new MeshError('INMESH_STORE_CORRUPT', 'the certificate authority is of an older version', {
      resource: directory,
      hint: 'Start the control plane once: it takes it over',
    });
  }
  return createCertificateAuthority({
    trustDomain: trustDomainOf(text),
    store,
    passphrase: await readPassphrase(secret),
    offline: true,
    ...(clock !== undefined && { clock }),
  });
}
