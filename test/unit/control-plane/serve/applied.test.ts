import { describe, expect, test } from 'vitest';
import { type AppliedReport, createAppliedWaits } from '../../../../src/control-plane/serve/applied.js';
import { assignmentOf, clusterOf } from '../../xds/fixtures.js';
import { ModelClient, type ProtocolName } from './model-client.js';
import { CDS, EDS, World } from './world.js';

const PROTOCOLS: readonly ProtocolName[] = ['state of the world', 'delta'];

/** A client that took the clusters of a revision, and somebody who waits for it. */
function waitedFor(protocol: ProtocolName) {
  const world = new World();
  const client = new ModelClient(world, protocol);
  world.clusters = new Map([['c', clusterOf('c')]]);
  world.endpoints = new Map([['c', assignmentOf('c', 1)]]);
  world.publish();
  client.subscribe(CDS, ['*']);
  client.connect();
  const waits = createAppliedWaits({
    clock: world.clock,
    published: () => world.published.revision,
    clients: () =>
      [...world.sessions].map((session) => ({
        status: {
          id: 'one',
          service: '',
          namespace: '',
          version: '',
          peer: '',
          spiffeId: undefined,
          connectedAtMs: 0,
          applied: session.applied,
          ...session.status(),
        },
        owes: session.owes,
        heardAtMs: session.heardAtMs,
      })),
  });
  let report: AppliedReport | undefined;
  void waits.wait(world.published.revision, 10_000).then((one) => {
    report = one;
  });
  /** What follows from what has been said until now. */
  const look = async () => {
    waits.touch();
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    return report;
  };
  return { world, client, look, report: () => report };
}

describe.each(PROTOCOLS)('waiting until a revision is applied (%s)', (protocol) => {
  test('ends when the clients fall silent after their answers', async () => {
    const { world, client, look, report } = waitedFor(protocol);
    expect(await look()).toBeUndefined();
    client.rest();
    expect(await look()).toBeUndefined();
    await world.clock.advance(60);
    expect(report()).toMatchObject({ isApplied: true, missing: [] });
  });

  test('goes on for a client that asks for more after its answer', async () => {
    const { world, client, look, report } = waitedFor(protocol);
    client.rest();
    await look();
    await world.clock.advance(40);
    client.subscribe(EDS, ['c']);
    client.up();
    await look();
    // The answer is on its way to the client.
    await world.clock.advance(5_000);
    expect(report()).toBeUndefined();
    client.rest();
    await look();
    await world.clock.advance(60);
    expect(report()).toMatchObject({ isApplied: true, missing: [] });
  });

  test('tells of a client that never answers what it asked for', async () => {
    const { world, client, look, report } = waitedFor(protocol);
    client.rest();
    await look();
    client.subscribe(EDS, ['c']);
    client.up();
    await look();
    await world.clock.advance(10_000);
    expect(report()).toMatchObject({ isApplied: false, missing: [{ id: 'one', state: 'STALE' }] });
  });

  test('does not ask for what a newer revision brings', async () => {
    const { world, client, look, report } = waitedFor(protocol);
    client.rest();
    await look();
    world.clusters = new Map([...world.clusters, ['d', clusterOf('d')]]);
    world.publish();
    await look();
    await world.clock.advance(60);
    expect(report()).toMatchObject({ isApplied: true, missing: [] });
  });
});
