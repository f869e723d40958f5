import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readPem } from '../../identity/pem.js';
import { CREDENTIAL_KEYS, type Credential, credentialOf, isBase64 } from './credential.js';
import type { Kind } from './kind.js';
import { createReport, type Report } from './report.js';
import { secretSchema } from './secret-schema.js';
import type { Document, FieldPath } from './view.js';

const TLS_TYPE = 'kubernetes.io/tls';

/** Kubernetes Secret: certificates that `credentialName` means. What else Secrets hold is not read. */
export const secretKind: Kind<'Secret'> = {
  name: 'Secret',
  apiVersions: ['v1'],
  schema: secretSchema,
  isSpec: true,
  validate,
};

function validate({ spec }: Document<'Secret'>) {
  const report = createReport();
  const { type, data = {}, stringData = {} } = spec;
  for (const [key, value] of Object.entries(data)) {
    if (!isBase64(value.reveal())) report.invalid(['data', key], `${key} is not base64`);
  }
  if (report.violations.length > 0) return report.violations;
  const credential = credentialOf(spec);
  const at = (part: keyof Credential): FieldPath => {
    const key = CREDENTIAL_KEYS[part].find(
      (one) => Object.hasOwn(stringData, one) || Object.hasOwn(data, one),
    );
    return key === undefined ? [] : [Object.hasOwn(stringData, key) ? 'stringData' : 'data', key];
  };
  if (type === TLS_TYPE) {
    if (credential.chain === undefined) report.invalid([], `a Secret of type ${TLS_TYPE} needs tls.crt`);
    if (credential.key === undefined) report.invalid([], `a Secret of type ${TLS_TYPE} needs tls.key`);
  }
  checkCredential(credential, { at, report, isTls: type === TLS_TYPE });
  return report.violations;
}

interface Checking {
  readonly at: (part: keyof Credential) => FieldPath;
  readonly report: Report;
  /** Of other types the names may mean something else. */
  readonly isTls: boolean;
}

function checkCredential({ chain, key, roots, crl }: Credential, { at, report, isTls }: Checking): void {
  const complain = (part: keyof Credential, what: string) =>
    isTls ? report.invalid(at(part), what) : report.warn(at(part), what);
  const leaf = chain === undefined ? undefined : certificatesOf(chain);
  if (chain !== undefined && leaf === undefined) complain('chain', 'it is no chain of certificates (PEM)');
  const privateKey = key === undefined ? undefined : privateKeyOf(key);
  if (key !== undefined && privateKey === undefined)
    complain('key', 'it is no private key (PEM, not encrypted)');
  if (leaf !== undefined && privateKey !== undefined && leaf[0]?.checkPrivateKey(privateKey) === false)
    complain('key', 'it is not the key of the certificate');
  if (roots !== undefined && certificatesOf(roots) === undefined)
    complain('roots', 'it holds no certificates (PEM)');
  if (crl !== undefined && readPem(crl, 'X509 CRL').length === 0)
    complain('crl', 'it is no list of revoked certificates (PEM)');
}

/** The certificates of a text, at least one; undefined when it holds none, or one that can't be read. */
function certificatesOf(text: string): readonly X509Certificate[] | undefined {
  try {
    const found = readPem(text, 'CERTIFICATE').map((der) => new X509Certificate(der));
    return found.length === 0 ? undefined : found;
  } catch {
    return undefined;
  }
}

function privateKeyOf(text: string): KeyObject | undefined {
  try {
    return createPrivateKey(text);
  } catch {
    return undefined;
  }
}
