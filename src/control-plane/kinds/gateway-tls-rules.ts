import type { Report } from './report.js';
import type { GatewayServer } from './types.js';
import type { FieldPath } from './view.js';

type ServerTls = NonNullable<GatewayServer['tls']>;

/** What the mesh itself gives where the mode is ISTIO_MUTUAL. */
const OF_THE_MESH = [
  'serverCertificate',
  'privateKey',
  'caCertificates',
  'tlsCertificates',
  'credentialName',
  'credentialNames',
] as const;

/** Istio ServerTLSSettings (Istio: validateTLSOptions). */
export function checkServerTls(tls: ServerTls, path: FieldPath, report: Report): void {
  const { mode = 'PASSTHROUGH' } = tls;
  checkCiphers(tls, path, report);
  if (mode === 'ISTIO_MUTUAL') {
    for (const field of OF_THE_MESH) {
      if (!tls[field]?.length) continue;
      const message = `the mode ISTIO_MUTUAL takes no ${field}: its certificates are the mesh's`;
      report.invalid([...path, field], message);
    }
    return;
  }
  const isPassed = mode === 'PASSTHROUGH' || mode === 'AUTO_PASSTHROUGH';
  if (isPassed && (tls.caCrl || OF_THE_MESH.some((field) => tls[field]?.length))) {
    report.warn(path, `the mode ${mode} does not use certificates`);
  }
  const sources = sourcesOf(tls);
  const [, second] = sources;
  if (second !== undefined) report.invalid([...path, second], `give only one of ${sources.join(', ')}`);
  if (!isPassed && (tls.credentialName || tls.credentialNames?.length)) return;
  if (!isPassed) checkCertificates(tls, path, report);
  if (!tls.caCrl) return;
  const at = [...path, 'caCrl'];
  if (tls.credentialName) report.invalid(at, 'a caCrl next to a credentialName belongs into its Secret');
  if (mode === 'SIMPLE') report.invalid(at, 'the mode SIMPLE has no use for a caCrl');
}

function sourcesOf(tls: ServerTls): readonly string[] {
  return [
    ...(tls.serverCertificate && tls.privateKey ? ['serverCertificate'] : []),
    ...(tls.credentialName ? ['credentialName'] : []),
    ...(tls.credentialNames?.length ? ['credentialNames'] : []),
    ...(tls.tlsCertificates?.length ? ['tlsCertificates'] : []),
  ];
}

function checkCertificates(tls: ServerTls, path: FieldPath, report: Report): void {
  const isMutual = tls.mode === 'MUTUAL' || tls.mode === 'OPTIONAL_MUTUAL';
  if (isMutual && !tls.caCertificates && !tls.caCertCredentialName) {
    report.invalid(path, `the mode ${tls.mode} needs caCertificates`);
  }
  const several = tls.tlsCertificates ?? [];
  if (several.length > 2) report.warn([...path, 'tlsCertificates'], 'only two certificates are served');
  const certificates =
    several.length === 0
      ? [{ certificate: tls, at: path }]
      : several.map((certificate, index) => ({ certificate, at: [...path, 'tlsCertificates', index] }));
  for (const { certificate, at } of certificates) {
    if (!certificate.serverCertificate) {
      report.invalid(at, `the mode ${tls.mode} needs a serverCertificate, or the name of a credential`);
    }
    if (!certificate.privateKey) report.invalid(at, 'a serverCertificate needs its privateKey');
  }
}

/** What BoringSSL has (Istio: ValidCipherSuites). */
const CIPHERS: ReadonlySet<string> = new Set([
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
  'ECDHE-ECDSA-AES128-SHA',
  'ECDHE-RSA-AES128-SHA',
  'ECDHE-ECDSA-AES256-SHA',
  'ECDHE-RSA-AES256-SHA',
  'AES128-GCM-SHA256',
  'AES256-GCM-SHA384',
  'AES128-SHA',
  'AES256-SHA',
  'DES-CBC3-SHA',
]);

/** Istio: expressions such as `-AES128-SHA` and `[A|B]` are not looked into. */
function isCipher(text: string): boolean {
  return text === '' || text === 'ALL' || !/^[\p{L}\p{N}]/u.test(text) || CIPHERS.has(text);
}

function checkCiphers(
  { minProtocolVersion, cipherSuites = [] }: ServerTls,
  path: FieldPath,
  report: Report,
): void {
  const isOld = minProtocolVersion === 'TLSV1_0' || minProtocolVersion === 'TLSV1_1';
  if (isOld && cipherSuites.length === 0) {
    report.warn(
      [...path, 'minProtocolVersion'],
      'TLS below 1.2 needs cipherSuites: those of today do not fit it',
    );
  }
  const seen = new Set<string>();
  for (const [index, cipher] of cipherSuites.entries()) {
    if (!isCipher(cipher)) {
      report.warn(
        [...path, 'cipherSuites', index],
        `${JSON.stringify(cipher)} is no cipher suite: it is ignored`,
      );
    } else if (seen.has(cipher))
      report.warn([...path, 'cipherSuites', index], `${cipher} is in the list twice`);
    seen.add(cipher);
  }
}
