import type { DownstreamTls, PemSource, TlsVersion } from '../../model/tls.js';
import type { GatewayServer, SidecarSpec } from '../kinds/types.js';
import type { Document } from '../kinds/view.js';

type Ingress = NonNullable<SidecarSpec['ingress']>[number];
type ServerTls = NonNullable<GatewayServer['tls']>;

const ENDING: ReadonlySet<unknown> = new Set<ServerTls['mode']>(['SIMPLE', 'MUTUAL', 'OPTIONAL_MUTUAL']);

/** Whether settings of a server say that it ends TLS with certificates of its own. */
export function endsTls(tls: unknown): boolean {
  return typeof tls === 'object' && tls !== null && 'mode' in tls && ENDING.has(tls.mode);
}

/** The TLS that a port of a Sidecar ends with certificates of its own; undefined = it ends none. */
export function ingressTls({ tls }: Ingress): ServerTls | undefined {
  return endsTls(tls) ? tls : undefined;
}

/** What is spoken on a port, in lower case, once its own TLS is ended (Istio: AfterTLSTermination); empty = nothing says. */
export function ingressProtocol(ingress: Ingress): string {
  const protocol = ingress.port.protocol?.toLowerCase() ?? '';
  if (ingressTls(ingress) === undefined) return protocol;
  if (protocol === 'https') return 'http';
  return protocol === 'tls' ? 'tcp' : protocol;
}

/** The TLS of a served port that its Sidecar has certificates for, as a server in the process ends it. */
export function servedTls(
  sidecar: Document<'Sidecar'> | undefined,
  port: number,
): Omit<DownstreamTls, 'alpn'> | undefined {
  const ingress = sidecar?.spec.ingress?.find((one) => one.port.number === port);
  const tls = ingress && ingressTls(ingress);
  if (!tls?.serverCertificate || !tls.privateKey) return undefined;
  const { mode, caCertificates, caCrl, cipherSuites = [] } = tls;
  return {
    requireClientCertificate: mode === 'MUTUAL',
    certificate: { chain: file(tls.serverCertificate), key: file(tls.privateKey) },
    ...(mode !== 'SIMPLE' && {
      clients: {
        roots: caCertificates ? file(caCertificates) : 'system',
        subjectAltNames: [],
        ...(caCrl && { crl: file(caCrl) }),
      },
    }),
    minVersion: versionOf(tls.minProtocolVersion) ?? 'TLSv1.2',
    ...versionAtMost(tls),
    ...(cipherSuites.length > 0 && { ciphers: cipherSuites }),
  };
}

function file(path: string): PemSource {
  return { kind: 'file', path };
}

function versionAtMost({ maxProtocolVersion }: ServerTls): Pick<DownstreamTls, 'maxVersion'> {
  const maxVersion = versionOf(maxProtocolVersion);
  return maxVersion === undefined ? {} : { maxVersion };
}

function versionOf(name: ServerTls['minProtocolVersion']): TlsVersion | undefined {
  const versions: Readonly<Record<NonNullable<typeof name>, TlsVersion | undefined>> = {
    TLS_AUTO: undefined,
    TLSV1_0: 'TLSv1',
    TLSV1_1: 'TLSv1.1',
    TLSV1_2: 'TLSv1.2',
    TLSV1_3: 'TLSv1.3',
  };
  return name && versions[name];
}
