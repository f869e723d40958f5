import * as fc from 'fast-check';
import { TRUST_SECRET, type TrustDocument } from '../../src/model/trust.js';

/** A root that signs nothing. */
const AUTHORITY = `-----BEGIN CERTIFICATE-----
MIIBmDCCAT+gAwIBAgIUOWjkSHGw6v+/i9mZ/NibqhtT3oMwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOYXJiaXRyYXJ5IHJvb3QwIBcNMjYxMTI2MDkwMTAxWhgPMjEy
NjExMDIwOTAxMDFaMBkxFzAVBgNVBAMMDmFyYml0cmFyeSByb290MFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAEy1mbn0P8K1tBcTKsYeGlcrFwN8QbsgLgm0bk9WAp
+dw8Z9I3L3XGo5Mor4DDVfHPsk5C1QYbzCg9c3zd7gLRcqNjMGEwHQYDVR0OBBYE
FAVTDEmZnzmU4sSH2IbVQ/q13AGcMB8GA1UdIwQYMBaAFAVTDEmZnzmU4sSH2IbV
Q/q13AGcMA8GA1UdEwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQDAgEGMAoGCCqGSM49
BAMCA0cAMEQCIHvczZLIZRSBdXwsRdCeBtPlXSi7CpLOPU0ke/ipiRzHAiBq2qQ8
e2wnmlVw5Utl5mSc6qqrs8RTuE5W5hFgb+ocGA==
-----END CERTIFICATE-----
`;

const hex = (length: number) => fc.stringMatching(new RegExp(`^[0-9a-f]{${length}}$`));
const some = <T>(one: fc.Arbitrary<T>) => fc.array(one, { maxLength: 3 });

const revokedNames = () =>
  fc.record({
    serials: some(fc.stringMatching(/^[1-9a-f][0-9a-f]{0,39}$/)),
    ids: some(fc.stringMatching(/^spiffe:\/\/a\.test\/ns\/[a-z]{1,5}\/sa\/[a-z]{1,5}$/)),
    keys: some(hex(64)),
  });

/** Whom to trust. */
const trustDocument = (): fc.Arbitrary<TrustDocument> =>
  fc.record({
    trustDomain: fc.constantFrom('a.test', 'b.test'),
    sequence: fc.nat(),
    bundles: fc
      .record({
        a: some(fc.constant(AUTHORITY)),
        b: some(fc.constant(AUTHORITY)),
        revoked: fc.option(revokedNames(), { nil: undefined }),
      })
      .map(({ a, b, revoked }) => [
        { trustDomain: 'a.test', authorities: a },
        { trustDomain: 'b.test', authorities: b, ...(revoked !== undefined && { revoked }) },
      ]),
    tainted: some(hex(64)),
    distrusted: some(hex(64)),
    revoked: revokedNames(),
    renewWithinMs: fc.nat(),
  });

/** The secret that brings it. */
export const trustSecret = () =>
  fc.record({
    name: fc.constant(TRUST_SECRET),
    secret: fc.record({ kind: fc.constant('trust' as const), trust: trustDocument() }),
  });
