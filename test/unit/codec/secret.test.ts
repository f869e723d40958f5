import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { rootPath } from '../../../src/codec/path.js';
import { SECRET } from '../../../src/codec/secret.js';
import { decodeUpstreamTls } from '../../../src/codec/tls.js';
import { TRUST_SECRET } from '../../../src/model/trust.js';
import { core, tls } from '../../../src/proto/xds.js';

const inline = (value: string) => ({ specifier: { case: 'inlineString', value } }) as const;
const ads = {
  resourceApiVersion: core.ApiVersion.V3,
  configSourceSpecifier: { case: 'ads', value: {} },
} as const;

const decode = (secret: MessageInitShape<typeof tls.SecretSchema>) =>
  SECRET.decode(toBinary(tls.SecretSchema, create(tls.SecretSchema, secret)));

const upstream = (common: MessageInitShape<typeof tls.CommonTlsContextSchema>) =>
  decodeUpstreamTls(create(tls.UpstreamTlsContextSchema, { commonTlsContext: common }), rootPath('CDS c'));

describe('a secret of SDS', () => {
  test('is a certificate with its key, or what servers are verified by', () => {
    const certificateChain = inline('chain');
    const privateKey = inline('key');
    expect(
      decode({ name: 'a', type: { case: 'tlsCertificate', value: { certificateChain, privateKey } } }),
    ).toEqual({
      name: 'a',
      resource: {
        name: 'a',
        secret: {
          kind: 'certificate',
          certificate: {
            chain: { kind: 'inline', pem: 'chain' },
            key: { kind: 'inline', pem: 'key' },
            password: undefined,
          },
        },
      },
    });
    const validation = decode({
      name: 'b',
      type: { case: 'validationContext', value: { trustedCa: inline('roots') } },
    });
    expect(validation.resource.secret).toMatchObject({ kind: 'validation', roots: { pem: 'roots' } });
  });

  test.each<[string, MessageInitShape<typeof tls.SecretSchema>, RegExp]>([
    ['ticket keys', { name: 'a', type: { case: 'sessionTicketKeys', value: {} } }, /SDS a/],
    ['nothing', { name: 'a' }, /must have a tls_certificate or a validation_context/],
    [
      'a certificate without its key',
      { name: 'a', type: { case: 'tlsCertificate', value: { certificateChain: inline('x') } } },
      /tls_certificate\.private_key/,
    ],
    [
      'a hash of certificates, which is not compared',
      { name: 'a', type: { case: 'validationContext', value: { verifyCertificateHash: ['x'] } } },
      /validation_context\.verify_certificate_hash/,
    ],
  ])('that holds %s is refused', (_, secret, message) => {
    expect(() => decode(secret)).toThrow(message);
  });

  const document = {
    trust_domain: 'a.test',
    sequence: 1,
    bundles: [{ trust_domain: 'a.test', x509_authorities: [] as string[] }],
    tainted: [],
    distrusted: [],
    revoked: { serials: [], ids: [], keys: [] },
    renew_within_ms: 0,
  };
  const trust = (json: unknown, name = TRUST_SECRET) =>
    decode({ name, type: { case: 'genericSecret', value: { secret: inline(JSON.stringify(json)) } } });

  test('tells whom to trust under its own name', () => {
    expect(trust(document).resource.secret).toMatchObject({
      kind: 'trust',
      trust: { trustDomain: 'a.test' },
    });
    expect(() => trust(document, 'other')).toThrow(
      /generic_secret: is known under the name inmesh:trust only/,
    );
  });

  test.each<[string, object, RegExp]>([
    ['a field that is not known', { more: 1 }, /generic_secret\.more: is not known/],
    ['no bundle of its own', { bundles: [] }, /bundles: lacks the own trust domain/],
    [
      'two bundles for one trust domain',
      { bundles: [...document.bundles, ...document.bundles] },
      /bundles: has a trust domain twice/,
    ],
    [
      'an authority that is none',
      { bundles: [{ trust_domain: 'a.test', x509_authorities: ['x'] }] },
      /x509_authorities\[0\]: is no certificate/,
    ],
    ['a fingerprint in another spelling', { tainted: ['AB'] }, /tainted\[0\]/],
    [
      'a serial number with leading zeros',
      { revoked: { serials: ['01'], ids: [], keys: [] } },
      /serials\[0\]/,
    ],
    ['a sequence that is no number', { sequence: '1' }, /sequence: must be a whole number/],
  ])('that tells whom to trust with %s is refused as a whole', (_, change, message) => {
    expect(() => trust({ ...document, ...change })).toThrow(message);
  });

  test('never shows its content in an error', () => {
    const value = { certificateChain: inline('top secret'), privateKey: { specifier: { case: undefined } } };
    const attempt = () => decode({ name: 'a', type: { case: 'tlsCertificate', value } });
    expect(attempt).toThrow();
    expect(attempt).not.toThrow(/top secret/);
  });
});

describe('a TLS context that names secrets of SDS', () => {
  test('takes certificate and validation from them', () => {
    const model = upstream({
      tlsCertificateSdsSecretConfigs: [{ name: 'own', sdsConfig: ads }],
      validationContextType: {
        case: 'validationContextSdsSecretConfig',
        value: { name: 'roots', sdsConfig: ads },
      },
    });
    expect(model).toMatchObject({
      mode: 'simple',
      secrets: { certificate: 'own', validation: 'roots' },
      certificate: undefined,
      roots: undefined,
    });
  });

  test('adds what its default context says', () => {
    const model = upstream({
      validationContextType: {
        case: 'combinedValidationContext',
        value: {
          defaultValidationContext: {
            trustedCa: inline('fallback'),
            matchTypedSubjectAltNames: [
              {
                sanType: tls.SubjectAltNameMatcher_SanType.DNS,
                matcher: { matchPattern: { case: 'exact', value: 'a' } },
              },
            ],
          },
          validationContextSdsSecretConfig: { name: 'roots', sdsConfig: ads },
        },
      },
    });
    expect(model).toMatchObject({
      secrets: { validation: 'roots' },
      roots: { pem: 'fallback' },
      subjectAltNames: [{ kind: 'exact', value: 'a' }],
    });
  });

  test('is refused when they would come from elsewhere', () => {
    const elsewhere = {
      resourceApiVersion: core.ApiVersion.V3,
      configSourceSpecifier: { case: 'path', value: '/x' },
    } as const;
    const context = (sdsConfig: MessageInitShape<typeof core.ConfigSourceSchema> | undefined) => ({
      validationContextType: {
        case: 'validationContextSdsSecretConfig',
        value: { name: 'roots', ...(sdsConfig && { sdsConfig }) },
      } as const,
    });
    expect(() => upstream(context(elsewhere))).toThrow(/validation_context_sds_secret_config\.sds_config/);
    expect(() => upstream(context(undefined))).toThrow(/validation_context_sds_secret_config\.sds_config/);
  });
});
