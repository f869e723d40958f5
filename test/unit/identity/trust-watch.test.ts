import { EventEmitter } from 'node:events';
import type { TLSSocket } from 'node:tls';
import { beforeAll, describe, expect, test } from 'vitest';
import { createX509Bundle, type X509Bundle } from '../../../src/identity/bundle.js';
import { revocationList } from '../../../src/identity/revocation.js';
import { TrustWatch } from '../../../src/identity/trust-watch.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { createTestCa, type TestCa } from '../../../src/testing/test-ca.js';

let ca: TestCa;
let other: TestCa;

beforeAll(async () => {
  [ca, other] = await Promise.all([createTestCa(), createTestCa()]);
});

/** A socket as far as a watch looks at it. */
function socketOf(fingerprint256: string): TLSSocket {
  const socket = Object.assign(new EventEmitter(), { getPeerX509Certificate: () => ({ fingerprint256 }) });
  return socket as unknown as TLSSocket;
}

function setUp() {
  const clock = createFakeClock();
  const bundles = new Map<string, X509Bundle>([['cluster.local', ca.bundle]]);
  const verified: string[] = [];
  const bad = new Set<string>();
  const watch = new TrustWatch({
    clock,
    bundleOf: (name) => bundles.get(name),
    verify(socket) {
      const name = socket.getPeerX509Certificate()?.fingerprint256 ?? '';
      verified.push(name);
      if (bad.has(name)) throw new Error('not trusted');
    },
  });
  const lost: string[] = [];
  const add = (name: string, trustDomain = 'cluster.local') => {
    const socket = socketOf(name);
    return { socket, stop: watch.add(socket, trustDomain, () => lost.push(name)) };
  };
  const change = () => {
    bundles.set(
      'cluster.local',
      createX509Bundle('cluster.local', [...ca.bundle.authorities, ...other.bundle.authorities]),
    );
    watch.recheck();
  };
  return { clock, bundles, verified, bad, watch, lost, add, change };
}

describe('a watch over live connections', () => {
  test('verifies nothing while the roots say the same, in whatever object', () => {
    const { bundles, verified, watch, add } = setUp();
    add('a');
    bundles.set('cluster.local', createX509Bundle('cluster.local', [...ca.bundle.authorities]));
    watch.recheck();
    expect(verified).toEqual([]);
  });

  test('verifies each certificate once, however many connections it has, and tells of those that do not hold', () => {
    const { verified, bad, lost, add, change } = setUp();
    for (const name of ['a', 'b', 'a', 'b', 'a']) add(name);
    bad.add('b');
    change();
    expect(verified).toEqual(['a', 'b']);
    expect(lost).toEqual(['b', 'b']);
  });

  test('tells once, and of nobody who closed or is not watched any more', () => {
    const { bad, lost, add, change, watch, bundles } = setUp();
    const [closed, stopped] = [add('a'), add('b')];
    add('c');
    for (const name of ['a', 'b', 'c']) bad.add(name);
    closed.socket.emit('close');
    stopped.stop();
    change();
    bundles.set('cluster.local', other.bundle);
    watch.recheck();
    expect(lost).toEqual(['c']);
  });

  test('a change in one trust domain is no matter of another', () => {
    const { verified, add, bundles, watch } = setUp();
    add('a');
    add('b', 'other.example');
    bundles.set('other.example', createX509Bundle('other.example', [...other.bundle.authorities]));
    watch.recheck();
    expect(verified).toEqual(['b']);
  });

  test('what was revoked is part of it', () => {
    const { verified, add, bundles, watch } = setUp();
    add('a');
    const revoked = (ids: string[]) =>
      createX509Bundle(
        'cluster.local',
        ca.bundle.authorities,
        revocationList({ serials: [], ids, keys: [] }),
      );
    bundles.set('cluster.local', revoked(['x']));
    watch.recheck();
    bundles.set('cluster.local', revoked(['x']));
    watch.recheck();
    expect(verified).toEqual(['a']);
  });

  test('many certificates are verified in turns, and a change in between begins anew', async () => {
    const { clock, bad, lost, add, change, verified, watch, bundles } = setUp();
    for (let i = 0; i < 120; i++) add(String(i));
    change();
    expect(verified.length).toBe(50);
    bad.add('7').add('119');
    bundles.set('cluster.local', other.bundle);
    watch.recheck();
    await clock.advance(1);
    expect(new Set(verified.slice(50)).size).toBe(120);
    expect(lost.sort()).toEqual(['119', '7']);
  });

  test('closed, it is silent', () => {
    const { bad, lost, add, change, watch } = setUp();
    add('a');
    bad.add('a');
    watch.close();
    change();
    expect(lost).toEqual([]);
  });
});
