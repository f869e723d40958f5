import { format, inspect } from 'node:util';
import { expect, test } from 'vitest';
import { createTextLogger } from '../../../src/runtime/log.js';
import { Secret } from '../../../src/runtime/secret.js';

const CANARY = 'canary-4711';
const secret = new Secret(CANARY);

test.each([
  ['a template', () => `${secret}`],
  ['concatenation', () => `x${String(secret)}`],
  ['JSON', () => JSON.stringify({ token: secret, list: [secret] })],
  ['inspect', () => inspect({ deep: { token: secret } }, { showHidden: true, depth: 9, getters: true })],
  ['format', () => format('%s %o %O %j', secret, secret, secret, secret)],
  ['an error', () => new Error(`no such token ${secret}`).stack ?? ''],
  ['its keys', () => JSON.stringify([Object.entries(secret), { ...secret }])],
  ['a copy', () => inspect(Object.assign({}, secret))],
])('%s does not show it', (_, show) => {
  expect(show()).not.toContain(CANARY);
});

test('a log line does not show it', () => {
  let written = '';
  createTextLogger((line) => {
    written += line;
  }).error({ token: secret, nested: { token: secret } }, 'refused');
  expect(written).toContain('[redacted]');
  expect(written).not.toContain(CANARY);
});

test('who asks for it gets it, and comparisons need no look at it', () => {
  expect(secret.reveal()).toBe(CANARY);
  expect(secret.equals(CANARY)).toBe(true);
  for (const other of ['', 'canary-4712', `${CANARY}0`, CANARY.slice(1)])
    expect(secret.equals(other)).toBe(false);
});
