import * as fc from 'fast-check';
import type { Cluster } from '../../src/model/cluster.js';
import type { StringMatcher } from '../../src/model/matcher.js';
import type { Secret } from '../../src/model/secret.js';
import type {
  ClientCertificate,
  ClientValidation,
  PemSource,
  ProxyProtocolVersion,
  TlsVersion,
  UpstreamTls,
} from '../../src/model/tls.js';
import type { Http2Options, UpstreamProtocol } from '../../src/model/upstream-protocol.js';

const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined });

/** At least one, and whole microseconds. */
const milliseconds = (): fc.Arbitrary<number> =>
  fc.oneof(fc.integer({ min: 1, max: 10_000_000 }), fc.constantFrom(1.5, 1500.25));

const window = () => fc.integer({ min: 65_535, max: 2 ** 31 - 1 });

const http2Options = (): fc.Arbitrary<Http2Options> =>
  fc.record({
    maxConcurrentStreams: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
    initialStreamWindow: window(),
    initialConnectionWindow: window(),
    hpackTableSize: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    allowConnect: fc.constantFrom(true, undefined),
    keepalive: maybe(
      fc.record({
        intervalMs: fc.oneof(fc.constant(0), milliseconds()),
        timeoutMs: milliseconds(),
        jitterPercent: fc.double({ min: 0, max: 100, noNaN: true }),
        idleIntervalMs: fc.oneof(fc.constant(0), milliseconds()),
      }),
    ),
  });

const pemSource = (): fc.Arbitrary<PemSource> =>
  fc.oneof(
    fc.record({ kind: fc.constant('file' as const), path: fc.stringMatching(/^\/[a-z/]+$/) }),
    fc.record({ kind: fc.constant('inline' as const), pem: fc.string() }),
  );

/** A certificate with its key. */
export const clientCertificate = (): fc.Arbitrary<ClientCertificate> =>
  fc.record({ chain: pemSource(), key: pemSource(), password: maybe(pemSource()) });

const version = () => fc.constantFrom<(TlsVersion | undefined)[]>(undefined, 'TLSv1.2', 'TLSv1.3');

/** Not one of those that stand for the workload's identity. */
const secretName = () => fc.stringMatching(/^kubernetes:\/\/[a-z]{1,8}$/);

/** A secret stands in for what it brings; roots that nobody is asked for go with none. */
function withSecrets<T extends Pick<UpstreamTls, 'secrets' | 'certificate' | 'roots'>>({
  secrets,
  ...one
}: T): Omit<T, 'secrets'> & Pick<UpstreamTls, 'secrets'> {
  if (secrets?.certificate === undefined && secrets?.validation === undefined) return one;
  return {
    ...one,
    secrets,
    certificate: secrets.certificate === undefined ? one.certificate : undefined,
    roots: secrets.validation !== undefined && one.roots === 'none' ? undefined : one.roots,
  };
}

/** What SDS brings. */
export const secret = (subjectAltNames: fc.Arbitrary<StringMatcher[]>): fc.Arbitrary<Secret> =>
  fc.oneof(
    fc.record({
      kind: fc.constant('certificate' as const),
      certificate: clientCertificate(),
    }),
    fc
      .record({
        kind: fc.constant('validation' as const),
        roots: maybe(fc.oneof(pemSource(), fc.constantFrom('none' as const, 'system' as const))),
        crl: maybe(pemSource()),
        subjectAltNames,
      })
      .map((one) => ({
        ...one,
        subjectAltNames: one.roots === 'none' ? [] : one.subjectAltNames,
        crl: typeof one.roots === 'string' ? undefined : one.crl,
      })),
  );

const hostSni = fc.constantFrom(true, undefined);

// Made once: texts by a pattern take long to set up, and this is asked for by each value.
const tlsDetails = fc
  .record({
    roots: maybe(fc.oneof(pemSource(), fc.constant('none' as const))),
    crl: maybe(pemSource()),
    certificate: maybe(clientCertificate()),
    secrets: maybe(fc.record({ certificate: maybe(secretName()), validation: maybe(secretName()) })),
    autoHostSni: hostSni,
    matchSni: hostSni,
    minVersion: version(),
    maxVersion: version(),
    ciphers: maybe(fc.constant(['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-RSA-AES128-GCM-SHA256'])),
  })
  .map(withSecrets);

/** What TLS outside of the mesh may say besides. */
export const withTlsDetails = (tls: UpstreamTls): fc.Arbitrary<UpstreamTls> => {
  if (tls.mode === 'mesh') return hostSni.map((autoHostSni) => ({ ...tls, autoHostSni }));
  return tlsDetails.map((one) => ({
    ...tls,
    ...one,
    // Names of whom nobody vouches for are refused, as are lists of what the platform's roots took back.
    subjectAltNames: one.roots === 'none' ? [] : tls.subjectAltNames,
    crl: typeof one.roots === 'object' ? one.crl : undefined,
    maxVersion: one.minVersion === 'TLSv1.3' ? undefined : one.maxVersion,
  }));
};

/** What a cluster may speak: negotiation goes with TLS for every endpoint only. */
export const upstreamProtocol = ({
  tls,
  transportSocketMatches,
}: Pick<Cluster, 'tls' | 'transportSocketMatches'>): fc.Arbitrary<UpstreamProtocol | undefined> => {
  const allTls = tls !== undefined && transportSocketMatches.every((match) => match.tls !== undefined);
  const kinds = allTls ? (['http2', 'downstream', 'auto'] as const) : (['http2', 'downstream'] as const);
  return maybe(fc.record({ kind: fc.constantFrom(...kinds), http2: http2Options() }));
};

/** Names taken from requests: servers of the mesh prove other names. */
export const autoNames = ({
  tls,
  transportSocketMatches,
}: Pick<Cluster, 'tls' | 'transportSocketMatches'>): fc.Arbitrary<
  Pick<Cluster, 'autoSni' | 'autoSanValidation'>
> => {
  const isMesh = [tls, ...transportSocketMatches.map((match) => match.tls)].some(
    (one) => one?.mode === 'mesh',
  );
  const forms = [{}, { autoSni: true }, ...(isMesh ? [] : [{ autoSni: true, autoSanValidation: true }])];
  return fc.constantFrom(...forms);
};

export const proxyProtocol = (): fc.Arbitrary<ProxyProtocolVersion | undefined> =>
  fc.constantFrom(undefined, 'v1', 'v2');

/** How certificates of clients are verified. */
export const clientValidation = (
  subjectAltNames: fc.Arbitrary<StringMatcher[]>,
): fc.Arbitrary<ClientValidation> =>
  fc.oneof(
    fc.record({ roots: fc.constantFrom('mesh' as const, 'system' as const), subjectAltNames }),
    fc.record({ roots: pemSource(), crl: maybe(pemSource()), subjectAltNames }),
    fc.record({
      roots: maybe(pemSource()),
      crl: maybe(pemSource()),
      secret: fc.uuid().map((text) => `sds-${text}`),
      subjectAltNames,
    }),
  );
