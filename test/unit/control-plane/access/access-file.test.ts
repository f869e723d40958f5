import { expect, test } from 'vitest';
import { parseAccess } from '../../../../src/control-plane/access/access-file.js';

const parse = (value: unknown) => parseAccess(JSON.stringify(value), 'access.json');

test('what createControlPlane takes is taken as it is', () => {
  const access = {
    callers: {
      loopback: false,
      oidc: [
        {
          issuer: 'https://issuer.test',
          audiences: ['inmesh'],
          identities: [{ id: 'spiffe://d.test/ns/{ns}/sa/{sub}', when: { group: ['a', 'b'] } }],
        },
      ],
      kubernetes: { issuer: 'https://cluster.test', jwksUri: 'https://cluster.test/keys' },
    },
    admin: {
      roles: [
        { role: 'viewer', tokenSha256: 'ab' },
        { role: 'admin', issuer: 'https://issuer.test', when: { group: 'ops' } },
      ],
      hosts: ['mesh.test'],
    },
  };
  expect(parse(access)).toEqual(access);
  expect(parse({})).toEqual({});
});

test.each([
  ['a misspelled member', { caller: {} }, /caller: .*did you mean callers/],
  ['a misspelled field', { callers: { oicd: [] } }, /callers\.oicd.*did you mean oidc/],
  ['another form', { callers: { loopback: 'no' } }, /callers\.loopback/],
  [
    'an issuer without audiences',
    { callers: { oidc: [{ issuer: 'a', identities: [{ id: 'b' }] }] } },
    /audiences/,
  ],
  ['an unknown role', { admin: { roles: [{ role: 'root', spiffeId: 'a' }] } }, /roles\[0\]\.role/],
  ['a role for nobody', { admin: { roles: [{ role: 'admin' }] } }, /roles\[0\].*exactly one of/],
  [
    'a role for two',
    { admin: { roles: [{ role: 'admin', spiffeId: 'a', tokenFile: 'b' }] } },
    /exactly one of/,
  ],
  ['no object', [], /no object/],
])('%s is refused by name', (_, value, message) => {
  expect(() => parse(value)).toThrow(message);
});

test('what is no JSON is refused with its cause', () => {
  expect(() => parseAccess('{', 'access.json')).toThrow(/INMESH_OPTION_INVALID.*no JSON/);
});
