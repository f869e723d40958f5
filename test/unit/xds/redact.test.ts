import { expect, test } from 'vitest';
import { redact } from '../../../src/xds/redact.js';

test('what is secret in a message is not shown, wherever it stands', () => {
  const key = { inline_string: 'KEY' };
  expect(
    redact({
      name: 'c',
      contexts: [{ tls_certificates: [{ certificate_chain: { inline_string: 'CERT' }, private_key: key }] }],
      password: { inline_bytes: 'UEFTUw==' },
      provider: { private_key_provider: { '@type': 'x', list: ['a'], number: 1 } },
    }),
  ).toEqual({
    name: 'c',
    contexts: [
      {
        tls_certificates: [
          { certificate_chain: { inline_string: 'CERT' }, private_key: { inline_string: '[redacted]' } },
        ],
      },
    ],
    password: { inline_bytes: 'W3JlZGFjdGVkXQ==' },
    provider: { private_key_provider: { '@type': 'x', list: ['[redacted]'], number: 1 } },
  });
});
