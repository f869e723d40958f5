import { describe, expect, test } from 'vitest';
import { complaintsAbout } from '../load.js';

const document = (spec: string, metadata = '{name: one}'): string =>
  `apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: ${metadata}\nspec: ${spec}\n`;

const errors = (text: string): readonly string[] =>
  complaintsAbout(text)
    .filter((line) => line.includes(' error '))
    .map((line) => line.replace(/^\S+ \w+ \S+ /, ''));

const rule = (fields: string): string =>
  document(`{jwtRules: [{issuer: a, jwksUri: "https://a.com/keys", ${fields}}]}`);

describe('a RequestAuthentication is refused for', () => {
  test.each([
    [
      'no issuer and no keys',
      document('{jwtRules: [{audiences: [a]}]}'),
      'a rule needs an issuer or jwksUri',
    ],
    [
      'keys in two places',
      document('{jwtRules: [{issuer: a, jwksUri: "https://a.com", jwks: "{}"}]}'),
      'only one of jwks and jwksUri can be set',
    ],
    [
      'keys by another protocol',
      document('{jwtRules: [{jwksUri: "file:///etc/passwd"}]}'),
      '"file:///etc/passwd" is not a URL of http or https',
    ],
    ['keys that are no JSON', document("{jwtRules: [{issuer: a, jwks: '{'}]}"), 'is no JSON'],
    [
      'keys of an unknown kind',
      document(`{jwtRules: [{issuer: a, jwks: '{"keys":[{"kty":"X"}]}'}]}`),
      'key 1 has the unknown kty "X"',
    ],
    [
      'keys without their members',
      document(`{jwtRules: [{issuer: a, jwks: '{"keys":[{"kty":"RSA","e":"AQAB"}]}'}]}`),
      'key 1 lacks the member "n"',
    ],
    ['an empty audience', rule('audiences: [""]'), 'an entry of audiences must not be empty'],
    ['an empty parameter', rule('fromParams: [""]'), 'an entry of fromParams must not be empty'],
    ['an empty cookie', rule('fromCookies: [""]'), 'an entry of fromCookies must not be empty'],
    ['a place that is no header', rule('fromHeaders: [{name: "a b"}]'), '"a b" is no name of a header'],
    [
      'an output that is no header',
      rule('outputClaimToHeaders: [{header: "x.y", claim: c}]'),
      '"x.y" is no name of a header',
    ],
    [
      'an output without a claim',
      rule('outputClaimToHeaders: [{header: x, claim: ""}]'),
      'the claim must not be empty',
    ],
    ['a payload in no header', rule('outputPayloadToHeader: "a:b"'), '"a:b" is no name of a header'],
    ['no time to fetch', rule('timeout: 0s'), 'must be at least 1ms, and no finer than a millisecond'],
    [
      'a dry run',
      document('{}', '{name: one, annotations: {istio.io/dry-run: "true"}}'),
      "a RequestAuthentication can't be tried with istio.io/dry-run",
    ],
    [
      'two ways to be attached',
      document('{selector: {matchLabels: {a: b}}, targetRefs: [{kind: Service, name: s}]}'),
      'only one of selector, targetRefs may be given',
    ],
    ['an unknown field', document('{jwtRules: [{issuer: a, jwkUri: "https://a.com"}]}'), 'jwkUri'],
  ])('%s', (_what, text, message) => {
    expect(errors(text).join('\n')).toContain(message);
  });
});

test('every field of a RequestAuthentication is read', () => {
  const text = document(`
  selector: {matchLabels: {app: a}}
  jwtRules:
  - issuer: https://issuer.example
    audiences: [one]
    jwksUri: https://issuer.example/keys
    fromHeaders: [{name: x-token, prefix: "Bearer "}]
    fromParams: [token]
    fromCookies: [token]
    outputPayloadToHeader: x-payload
    outputClaimToHeaders: [{header: x-group, claim: groups.first}]
    forwardOriginalToken: true
    timeout: 3s
    spaceDelimitedClaims: [roles]`);
  expect(complaintsAbout(text)).toEqual([]);
});

test('an issuer whose keys nobody can look up is a warning', () => {
  expect(complaintsAbout(document('{jwtRules: [{issuer: me@example.com}]}')).join('\n')).toContain(
    'must be a URL',
  );
});
