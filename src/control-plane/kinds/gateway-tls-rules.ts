import type { FieldPath } from '../store/view.js';
import { fieldsOf, type Report } from './report.js';
import type { GatewayServer } from './types.js';

type ServerTls = NonNullable<GatewayServer['tls']>;

const OWN_CERTIFICATE = [
  'serverCertificate',
  'credentialName',
  'credentialNames',
  'tlsCertificates',
] as const;
const MESH_OR_PASSTHROUGH = ['PASSTHROUGH', 'AUTO_PASSTHROUGH', 'ISTIO_MUTUAL'];

/** Istio ServerTLSSettings (Istio: validateTLSOptions). */
export function checkServerTls(tls: ServerTls, path: FieldPath, report: Report): void {
  const { mode = 'PASSTHROUGH' } = tls;
  if (mode === 'ISTIO_MUTUAL') {
    for (const field of fieldsOf(tls)) {
      if (!/ertificate|privateKey|redential|subjectAltNames/.test(field)) continue;
      report.invalid(
        [...path, field],
        `the mode ISTIO_MUTUAL takes no ${field}: its certificates are the mesh's`,
      );
    }
  }
  if (MESH_OR_PASSTHROUGH.includes(mode)) {
    if (
      mode !== 'ISTIO_MUTUAL' &&
      fieldsOf(tls).some((field) => /ertificate|privateKey|redential/.test(field))
    ) {
      report.warn(path, `the mode ${mode} does not use certificates`);
    }
    return;
  }
  checkOwnCertificate(tls, path, report);
  const isMutual = mode === 'MUTUAL' || mode === 'OPTIONAL_MUTUAL';
  const hasRoots =
    tls.caCertificates || tls.credentialName || tls.credentialNames?.length || tls.caCertCredentialName;
  const hasNestedRoots = (tls.tlsCertificates ?? []).some((one) => one.caCertificates);
  if (isMutual && !hasRoots && !hasNestedRoots) report.invalid(path, `the mode ${mode} needs caCertificates`);
  if (mode === 'SIMPLE' && tls.caCrl)
    report.invalid([...path, 'caCrl'], 'the mode SIMPLE has no use for a caCrl');
}

function checkOwnCertificate(tls: ServerTls, path: FieldPath, report: Report): void {
  const given = OWN_CERTIFICATE.filter((field) => (tls[field]?.length ?? 0) > 0);
  const [first, second] = given;
  if (second !== undefined) report.invalid([...path, second], `give only one of ${given.join(', ')}`);
  if (first === undefined)
    report.invalid(path, `the mode ${tls.mode} needs a certificate: ${OWN_CERTIFICATE.join(', ')}`);
  if (tls.serverCertificate && !tls.privateKey)
    report.invalid(path, 'a serverCertificate needs its privateKey');
  for (const [index, certificate] of (tls.tlsCertificates ?? []).entries()) {
    const at = [...path, 'tlsCertificates', index];
    if (!certificate.serverCertificate) report.invalid(at, 'a certificate needs serverCertificate');
    if (!certificate.privateKey) report.invalid(at, 'a serverCertificate needs its privateKey');
  }
  for (const field of ['tlsCertificates', 'credentialNames'] as const) {
    if ((tls[field] ?? []).length > 2) report.warn([...path, field], 'only two certificates are served');
  }
}
