import { describe, expect, test } from 'vitest';
import type { FilterChain, InboundListener } from '../../../src/model/listener.js';
import type { Secret } from '../../../src/model/secret.js';
import { EMPTY_SNAPSHOT } from '../../../src/model/snapshot.js';
import type { Found } from '../../../src/xds/found.js';
import { resolve } from '../../../src/xds/resolve.js';

const chain = (certificateSecret: string | undefined): FilterChain => ({
  name: 'tls',
  transportProtocol: 'tls',
  tls: { requireClientCertificate: true, alpn: [], certificateSecret },
  http: { routes: { kind: 'inline', config: { name: 'r', virtualHosts: [] } }, filters: [] },
});

const listenerWith = (first: string | undefined, last?: string): InboundListener => ({
  kind: 'inbound',
  name: 'in',
  address: undefined,
  filterChains: [chain(first)],
  ...(last !== undefined && { defaultChain: chain(last) }),
});

const pem = (text: string) => ({ kind: 'inline', pem: text }) as const;
const secret = (text: string): Secret => ({
  kind: 'certificate',
  certificate: { chain: pem(text), key: pem(text) },
});

function resolveWith(
  listener: InboundListener,
  secrets: Record<string, Found<Secret>>,
  previous = EMPTY_SNAPSHOT,
) {
  const view = {
    listener: () => listener,
    routes: () => 'absent' as const,
    runtime: () => 'absent' as const,
    virtualHosts: () => ({ hosts: [], isPending: false }),
    cluster: () => 'absent' as const,
    assignment: () => 'absent' as const,
    secret: (name: string) => secrets[name] ?? 'pending',
    extension: () => 'absent' as const,
  };
  return resolve(view, ['in'], previous);
}

describe('secrets of a listener for callers', () => {
  test('are asked for, those of the default chain, too, and waited for', () => {
    const { wanted, missing, snapshot } = resolveWith(listenerWith('own', 'other'), { own: secret('a') });
    expect([...wanted.secrets]).toEqual(['own', 'other']);
    expect(missing).toEqual([{ kind: 'secret', name: 'other' }]);
    expect(snapshot.inbound.size).toBe(0);
  });

  test('a new one comes along and leaves the listener as it is', () => {
    const listener = listenerWith('own');
    const first = resolveWith(listener, { own: secret('a') }).snapshot;
    const next = resolveWith(listener, { own: secret('b') }, first).snapshot;
    expect(next.inbound.get('in')).toBe(listener);
    expect([first.secrets?.get('own'), next.secrets?.get('own')]).toEqual([secret('a'), secret('b')]);
  });

  test('a listener that names another one stays as it was until that is there, with what it has', () => {
    const before = listenerWith('own');
    const first = resolveWith(before, { own: secret('a') }).snapshot;
    const after = listenerWith('other');
    const waiting = resolveWith(after, { own: secret('a') }, first);
    expect(waiting.snapshot.inbound.get('in')).toBe(before);
    expect([...(waiting.snapshot.secrets ?? [])]).toEqual([['own', secret('a')]]);
    expect([...waiting.wanted.secrets].toSorted()).toEqual(['other', 'own']);
    const done = resolveWith(after, { own: secret('a'), other: secret('b') }, waiting.snapshot);
    expect(done.snapshot.inbound.get('in')).toBe(after);
    expect([...done.wanted.secrets]).toEqual(['other']);
  });

  test.each(['absent', 'refused'] as const)('one that is %s holds nothing up', (found) => {
    const { missing, snapshot } = resolveWith(listenerWith('own'), { own: found });
    expect(missing).toEqual([]);
    expect(snapshot.inbound.has('in')).toBe(true);
    expect(snapshot.secrets).toBeUndefined();
  });
});
