import { generateKeyPairSync } from 'node:crypto';
import * as fc from 'fast-check';
import { SignJWT } from 'jose';
import { expect, test } from 'vitest';
import { createJwtBundle, parseJwtBundle } from '../../src/identity/jwt-bundle.js';
import { validateJwtSvid } from '../../src/identity/jwt-svid.js';
import {
  createSpiffeBundle,
  encodeBundleMap,
  encodeSpiffeBundle,
  parseBundleMap,
  parseSpiffeBundle,
} from '../../src/identity/spiffe-bundle.js';
import { workloadTarget } from '../../src/identity/workload-api/endpoint.js';
import {
  readJwtBundles,
  readX509Bundles,
  readX509Context,
} from '../../src/identity/workload-api/messages.js';
import { MeshError } from '../../src/runtime/errors.js';
import { createTestCa } from '../../src/testing/test-ca.js';

const key = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const bundle = createJwtBundle('td.test', [['k', key.publicKey]]);
const nowMs = Date.UTC(2030, 0, 1);
const token = await new SignJWT({ sub: 'spiffe://td.test/a', aud: 'me', exp: nowMs / 1000 + 60 })
  .setProtectedHeader({ alg: 'ES256', kid: 'k' })
  .sign(key.privateKey);
const ca = await createTestCa({ trustDomain: 'td.test' });

/** Whether it was refused; an error that is not ours fails the property. */
async function refuses(run: () => unknown): Promise<boolean> {
  try {
    await run();
    return false;
  } catch (error) {
    if (MeshError.is(error)) return true;
    throw error;
  }
}

const validate = (text: string) =>
  refuses(() => validateJwtSvid(text, () => bundle, { audience: 'me', nowMs }));

test('no other text than the token itself is the token', async () => {
  expect(await validate(token)).toBe(false);
  const edit = fc.record({
    at: fc.nat(token.length),
    remove: fc.nat(3),
    insert: fc.string({ unit: fc.constantFrom(...'AZaz09-_=. \n'.split('')), maxLength: 3 }),
  });
  await fc.assert(
    fc.asyncProperty(edit, async ({ at, remove, insert }) => {
      const other = token.slice(0, at) + insert + token.slice(at + remove);
      fc.pre(other !== token);
      expect(await validate(other)).toBe(true);
    }),
    { numRuns: 300 },
  );
});

test('any header and payload are refused, or signed by nobody', async () => {
  const part = fc.json().map((text) => Buffer.from(text).toString('base64url'));
  await fc.assert(
    fc.asyncProperty(part, part, async (header, payload) => {
      expect(await validate(`${header}.${payload}.AAAA`)).toBe(true);
    }),
    { numRuns: 300 },
  );
});

test('any text is a bundle, or refused', async () => {
  const entry = fc.record(
    {
      kty: fc.constantFrom('EC', 'RSA', 'oct', 'OKP', 1),
      use: fc.constantFrom('x509-svid', 'jwt-svid', 'sig', null),
      kid: fc.oneof(fc.string(), fc.constant(null)),
      crv: fc.constantFrom('P-256', 'P-999'),
      x: fc.base64String(),
      y: fc.base64String(),
      n: fc.base64String(),
      e: fc.constantFrom('AQAB', ''),
      x5c: fc.oneof(fc.array(fc.base64String(), { maxLength: 2 }), fc.constant('x')),
    },
    { requiredKeys: [] },
  );
  const document = fc.record({ keys: fc.array(fc.oneof(entry, fc.jsonValue()), { maxLength: 3 }) });
  const text = fc.oneof(
    fc.json(),
    document.map((value) => JSON.stringify(value)),
  );
  await fc.assert(
    fc.asyncProperty(text, async (written) => {
      await refuses(() => parseSpiffeBundle('td.test', written));
      await refuses(() => parseJwtBundle('td.test', written));
      await refuses(() => parseBundleMap(`{"trust_domains":{"a":${written}}}`));
    }),
    { numRuns: 500 },
  );
});

test('a bundle is what it was after it was written, whatever its key IDs and sequence', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.string({ minLength: 1, unit: 'binary' }), { maxLength: 4 }),
      fc.option(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), { nil: undefined }),
      fc.option(fc.nat(1_000_000), { nil: undefined }),
      (keyIds, sequence, seconds) => {
        const refreshHintMs = seconds === undefined ? undefined : seconds * 1000;
        const jwt = createJwtBundle(
          'td.test',
          keyIds.map((id) => [id, key.publicKey] as const),
        );
        const made = createSpiffeBundle('td.test', { x509: ca.bundle, jwt, sequence, refreshHintMs });
        const read = parseSpiffeBundle('td.test', encodeSpiffeBundle(made));
        expect([...read.jwt.authorities.keys()]).toEqual(keyIds);
        expect(read).toMatchObject({ sequence, refreshHintMs });
        expect(parseBundleMap(encodeBundleMap([made])).get('td.test')?.sequence).toBe(sequence);
      },
    ),
  );
});

test('whatever an agent sends is read, or refused', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
      for (const read of [readX509Context, readX509Bundles, readJwtBundles]) await refuses(() => read(bytes));
    }),
    { numRuns: 1000 },
  );
});

test('any text is the address of a Workload API, or refused', async () => {
  const text = fc.oneof(
    fc.string(),
    fc.webUrl(),
    fc.string().map((rest) => `unix://${rest}`),
  );
  await fc.assert(
    fc.asyncProperty(text, async (endpoint) => {
      await refuses(() => workloadTarget(endpoint));
    }),
    { numRuns: 1000 },
  );
});
