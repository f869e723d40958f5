import { createPrivateKey, type KeyObject } from 'node:crypto';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { codeOf, MeshError, messageOf } from '../../runtime/errors.js';

const MAX_BYTES = 1024 * 1024;

/** Opens keys that are encrypted at rest. */
export type Passphrase = string | undefined;

/** A key in PEM: PKCS #8, encrypted (PBES2, AES-256) when there is a passphrase. */
export function writeKey(key: KeyObject, passphrase: Passphrase): string {
  const format = { type: 'pkcs8', format: 'pem' } as const;
  return passphrase === undefined
    ? key.export(format).toString()
    : key.export({ ...format, cipher: 'aes-256-cbc', passphrase }).toString();
}

/** Reads a key in PEM (PKCS #8, SEC 1, PKCS #1; encrypted or not). What OpenSSL says of it stays out of messages. */
export function readKey(pem: string, passphrase: Passphrase, resource: string): KeyObject {
  const isEncrypted = /-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(pem);
  if (isEncrypted && passphrase === undefined) {
    throw badKey(resource, 'the private key is encrypted, and there is no passphrase');
  }
  try {
    return createPrivateKey(isEncrypted ? { key: pem, passphrase } : pem);
  } catch {
    throw badKey(
      resource,
      isEncrypted
        ? 'the private key cannot be read: its passphrase is wrong, or it is damaged'
        : 'the private key cannot be read',
    );
  }
}

/** Reads a file that holds a secret; one that others than its owner can read is refused. */
export async function readSecretFile(path: string): Promise<Buffer> {
  try {
    const file = await open(path, constants.O_RDONLY);
    try {
      const { mode, size } = await file.stat();
      // On Windows the mode says nothing.
      if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
        throw badKey(
          path,
          `the file of a private key is open to others (mode ${(mode & 0o777).toString(8)})`,
          {
            hint: `Run chmod 600 ${path}`,
          },
        );
      }
      if (size > MAX_BYTES) throw badKey(path, 'the file is too large for a key');
      return await file.readFile();
    } finally {
      await file.close();
    }
  } catch (error) {
    if (MeshError.is(error)) throw error;
    throw badKey(path, `the file cannot be read: ${messageOf(error)}`, {
      cause: error,
      missing: codeOf(error),
    });
  }
}

/** Takes the passphrase from a file of its own, or from the environment's value. */
export async function readPassphrase(source: {
  readonly passphrase?: string | undefined;
  readonly passphraseFile?: string | undefined;
}): Promise<Passphrase> {
  if (source.passphraseFile === undefined) return source.passphrase === '' ? undefined : source.passphrase;
  const text = (await readSecretFile(source.passphraseFile)).toString('utf8').replace(/\r?\n$/, '');
  if (text === '') throw badKey(source.passphraseFile, 'the file of the passphrase is empty');
  return text;
}

function badKey(
  resource: string,
  what: string,
  {
    hint,
    cause,
  }: { readonly hint?: string; readonly cause?: unknown; readonly missing?: string | undefined } = {},
): MeshError {
  return new MeshError('INMESH_CA_KEY', what, {
    resource,
    cause,
    hint:
      hint ??
      'Supply the key in PEM (PKCS #8), with its passphrase in INMESH_CA_PASSPHRASE or a file when it is encrypted',
  });
}
