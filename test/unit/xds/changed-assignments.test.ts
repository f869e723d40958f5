import { describe, expect, test } from 'vitest';
import type { ClusterLoadAssignment } from '../../../src/model/endpoint.js';
import { withAssignments } from '../../../src/xds/changed-assignments.js';
import type { Found } from '../../../src/xds/found.js';
import type { ResourceView } from '../../../src/xds/resolution.js';
import { resolve } from '../../../src/xds/resolve.js';
import { assignmentOf, clusterOf, listenerOf, routesTo } from './fixtures.js';

/** Two listeners over three clusters, two of which share their endpoints. Counts what is looked at. */
function start() {
  const asked: string[] = [];
  const listeners = { 'a:80': listenerOf('a:80', 'r1'), 'b:80': listenerOf('b:80', 'r2') };
  const routes = { r1: routesTo('r1', 'c1', 'c2'), r2: routesTo('r2', 'c3') };
  const clusters = { c1: clusterOf('c1'), c2: clusterOf('c2', 'shared'), c3: clusterOf('c3', 'shared') };
  const assignments = new Map<string, Found<ClusterLoadAssignment>>([
    ['c1', assignmentOf('c1', 1)],
    ['shared', assignmentOf('shared', 2)],
  ]);
  const look = <T extends object>(kind: string, name: string, found: T | undefined): T | 'pending' => {
    asked.push(`${kind} ${name}`);
    return found ?? 'pending';
  };
  const view: ResourceView = {
    listener: (name) => look('listener', name, Object.entries(listeners).find(([key]) => key === name)?.[1]),
    routes: (name) => look('routes', name, Object.entries(routes).find(([key]) => key === name)?.[1]),
    cluster: (name) => look('cluster', name, Object.entries(clusters).find(([key]) => key === name)?.[1]),
    assignment: (name) => {
      asked.push(`assignment ${name}`);
      return assignments.get(name) ?? 'pending';
    },
    secret: () => 'absent',
    runtime: () => 'absent',
    virtualHosts: () => ({ hosts: [], isPending: false }),
    extension: () => 'absent',
  };
  const whole = (previous?: Parameters<typeof resolve>[2]) =>
    resolve(view, Object.keys(listeners), previous).snapshot;
  const snapshot = whole();
  asked.length = 0;
  return { view, assignments, asked, snapshot, whole };
}

describe('a change of endpoints', () => {
  test('gives what a whole resolution gives, and looks at nothing else', () => {
    const { view, assignments, asked, snapshot, whole } = start();
    assignments.set('c1', assignmentOf('c1', 7, 8));
    const next = withAssignments(view, snapshot, ['c1']);
    expect(asked).toEqual(['assignment c1']);
    expect(next).toEqual(whole(snapshot));
    expect(next?.outbound).toBe(snapshot.outbound);
    expect(next?.clusters.get('c2')).toBe(snapshot.clusters.get('c2'));
    expect(next?.clusters.get('c1')?.assignment).toBe(assignments.get('c1'));
  });

  test('reaches every cluster with these endpoints', () => {
    const { view, assignments, snapshot, whole } = start();
    assignments.set('shared', assignmentOf('shared', 9));
    const next = withAssignments(view, snapshot, ['shared']);
    expect(next).toEqual(whole(snapshot));
    expect(next?.clusters.get('c2')?.assignment).toBe(assignments.get('shared'));
    expect(next?.clusters.get('c3')?.assignment).toBe(assignments.get('shared'));
  });

  test('follows another, and one that takes the endpoints away', () => {
    const { view, assignments, snapshot, whole } = start();
    assignments.set('c1', assignmentOf('c1', 7));
    const first = withAssignments(view, snapshot, ['c1']);
    assignments.set('c1', 'absent');
    const second = first && withAssignments(view, first, ['c1']);
    expect(second).toEqual(whole(first));
    expect(second?.clusters.get('c1')?.assignment).toBeUndefined();
  });

  test('that is none, or of endpoints that nobody uses, keeps the snapshot', () => {
    const { view, assignments, snapshot } = start();
    assignments.set('stray', assignmentOf('stray', 1));
    expect(withAssignments(view, snapshot, ['c1', 'stray'])).toBe(snapshot);
  });

  test('is left to a whole resolution when an answer is outstanding', () => {
    const { view, snapshot } = start();
    expect(withAssignments(view, snapshot, ['unanswered'])).toBeUndefined();
  });
});
