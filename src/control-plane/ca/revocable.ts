import { readFile } from 'node:fs/promises';
import { parseCertificate } from '../../identity/bundle.js';
import { readPem } from '../../identity/pem.js';
import { serialText } from '../../identity/revocation.js';
import type { RevokeRequest } from './revocation-desk.js';

/**
 * What a text names that can be revoked: a SPIFFE ID, a serial number in hexadecimal, `sha256:` and the hash of a public
 * key, or a file with a certificate.
 */
export async function revocable(text: string): Promise<Pick<RevokeRequest, 'kind' | 'value'>> {
  if (text.startsWith('spiffe://')) return { kind: 'ids', value: text };
  if (text.toLowerCase().startsWith('sha256:')) return { kind: 'keys', value: text.slice('sha256:'.length) };
  if (/^(0x)?[0-9a-f:]{1,60}$/i.test(text)) return { kind: 'serials', value: text };
  const [der] = readPem(await readFile(text, 'utf8'), 'CERTIFICATE');
  return { kind: 'serials', value: serialText(parseCertificate(der ?? new Uint8Array(), text).facts.serial) };
}
