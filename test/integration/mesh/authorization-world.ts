import { expect } from 'vitest';
import type { Mesh } from '../../../src/index.js';
import { answerOf, istio } from './features-world.js';
import { eventually } from './support.js';

/** An AuthorizationPolicy; its specification stands in one line. */
export function policy(name: string, spec: string, namespace = 'default', annotations = '{}'): string {
  return `---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: ${namespace}, annotations: ${annotations} }
spec: ${spec}
`;
}

/** A service with one endpoint on this machine. */
export function entry(host: string, port: number, protocol: string): string {
  return istio(
    'ServiceEntry',
    host.replaceAll('.', '-'),
    `hosts: [${host}]
location: MESH_EXTERNAL
resolution: STATIC
ports: [{ number: ${port}, name: main, protocol: ${protocol} }]
endpoints: [{ address: 127.0.0.1 }]`,
  );
}

/** Status and body of a request of a member; `refused` when there is no answer. */
export async function ask(client: Mesh, url: string, init: RequestInit = {}): Promise<string> {
  try {
    const [status, body] = await answerOf(client.fetch(url, init));
    return `${status} ${body}`;
  } catch {
    return 'refused';
  }
}

/** Waits until all answers are as they should be: policies take a moment to arrive. */
export async function becomes<T>(read: () => Promise<T>, expected: T): Promise<void> {
  const wanted = JSON.stringify(expected);
  let last: T | undefined;
  try {
    await eventually('the policy is in force', async () => {
      last = await read();
      return JSON.stringify(last) === wanted;
    });
  } catch {
    expect(last).toEqual(expected);
  }
}
