export type {
  CertificateAuthority,
  CertifyRequest,
  IssueRequest,
  IssueServerRequest,
} from './control-plane/ca/certificate-authority.js';
export type { IssuedCertificate } from './control-plane/ca/issuer.js';
export { seededRandom } from './runtime/random.js';
export { createFakeClock, type FakeClock } from './testing/fake-clock.js';
export {
  createTestCa,
  type TestCa,
  type TestCaOptions,
  type TestCertificate,
  type TestCertificateChanges,
  type TestSvidOptions,
} from './testing/test-ca.js';
