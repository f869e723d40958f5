export { seededRandom } from './runtime/random.js';
export { createFakeClock, type FakeClock } from './testing/fake-clock.js';
export { createTestCa, type TestCa } from './testing/test-ca.js';
