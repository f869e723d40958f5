import { afterEach, describe, expect, test, vi } from 'vitest';
import { istio, service, World } from './features-world.js';

let world: World;

afterEach(() => world.close());

const answering = (body: string) =>
  istio(
    'VirtualService',
    'shop',
    `hosts: [shop]\nhttp:\n  - directResponse: { status: 200, body: { string: ${body} } }`,
  );

describe('a mesh over delta xDS', () => {
  test('follows services that come, configuration that changes, and both when they go', async () => {
    world = await World.start(service('shop') + answering('closed'));
    await world.serve({ service: 'echo', xdsProtocol: 'delta' }, (_request, response) =>
      response.end('echo'),
    );
    const client = await world.join({ xdsProtocol: 'delta' });
    const ask = async (url: string) => (await client.fetch(url)).text();
    expect(await ask('http://echo/')).toBe('echo');
    expect(await ask('http://shop/')).toBe('closed');

    world.configure(service('shop') + answering('open'));
    await vi.waitFor(async () => expect(await ask('http://shop/')).toBe('open'), 15_000);

    const clusters = () => client.status().clusters.map(({ name }) => name);
    world.configure(service('shop'));
    await vi.waitFor(() => expect(clusters()).toContainEqual(expect.stringContaining('shop')), 15_000);
    world.configure('');
    await vi.waitFor(() => expect(clusters()).not.toContainEqual(expect.stringContaining('shop')), 15_000);
    expect(await ask('http://echo/')).toBe('echo');
    expect(
      world.plane.status().clients.flatMap(({ types }) => types.map(({ state }) => state)),
    ).not.toContain('NACKED');
  });
});
