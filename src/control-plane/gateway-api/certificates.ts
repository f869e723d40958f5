import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readPem } from '../../identity/pem.js';
import { credentialOf } from '../kinds/credential.js';
import type { ConfigView } from '../kinds/view.js';
import type { Complaint } from './condition.js';
import type { Grants, ReferenceOrigin } from './grants.js';

/** A reference of the Gateway API to an object. */
export interface ApiReference {
  readonly group: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string | undefined;
}

/** What references are looked up in. */
export interface Lookup {
  readonly view: ConfigView;
  readonly grants: Grants;
}

/** The Secret with a certificate and its key, or why it can't be used. */
export function resolveCertificate(
  reference: ApiReference,
  from: ReferenceOrigin,
  { view, grants }: Lookup,
  invalid = 'InvalidCertificateRef',
): { readonly namespace: string; readonly name: string } | Complaint {
  const { group, kind, name, namespace = from.namespace } = reference;
  const shown = `${kind} ${namespace}/${name}`;
  if (group !== '' || kind !== 'Secret')
    return {
      reason: invalid,
      message: `certificates are in Secrets, not in a ${kind} of ${JSON.stringify(group)}`,
    };
  if (!grants(from, { group, kind, namespace, name }))
    return { reason: 'RefNotPermitted', message: `no ReferenceGrant allows to refer to ${shown}` };
  const document = view.get('Secret', namespace, name);
  if (document === undefined) return { reason: invalid, message: `there is no ${shown}` };
  const { chain, key } = credentialOf(document.spec);
  if (chain === undefined || key === undefined)
    return { reason: invalid, message: `${shown} has no tls.crt or no tls.key` };
  if (!isCertificate(chain) || !isKey(key))
    return { reason: invalid, message: `tls.crt or tls.key of ${shown} is no PEM` };
  return { namespace, name };
}

/** Roots as PEM, or why they can't be used. */
export function resolveRoots(
  reference: ApiReference,
  from: ReferenceOrigin,
  { view, grants }: Lookup,
): string | Complaint {
  const { group, kind, name, namespace = from.namespace } = reference;
  const shown = `${kind} ${namespace}/${name}`;
  const invalid = 'InvalidCACertificateRef';
  if (group !== '' || kind !== 'ConfigMap') {
    const message = `roots are in ConfigMaps, not in a ${kind} of ${JSON.stringify(group)}`;
    return { reason: from.kind === 'BackendTLSPolicy' ? 'InvalidKind' : 'InvalidCACertificateKind', message };
  }
  if (!grants(from, { group, kind, namespace, name }))
    return { reason: 'RefNotPermitted', message: `no ReferenceGrant allows to refer to ${shown}` };
  const pem = view.get('ConfigMap', namespace, name)?.spec.data?.['ca.crt'];
  if (pem === undefined) return { reason: invalid, message: `there is no ${shown} with a key ca.crt` };
  return isCertificate(pem) ? pem : { reason: invalid, message: `ca.crt of ${shown} is no PEM` };
}

/** Whether it is a complaint rather than what was looked for. */
export function isComplaint(value: object | string): value is Complaint {
  return typeof value === 'object' && 'reason' in value;
}

function isCertificate(pem: string): boolean {
  try {
    const found = readPem(pem, 'CERTIFICATE').map((der) => new X509Certificate(der));
    return found.length > 0;
  } catch {
    return false;
  }
}

function isKey(pem: string): boolean {
  try {
    createPrivateKey(pem);
    return true;
  } catch {
    return false;
  }
}
