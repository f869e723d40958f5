import { describe, expect, test } from 'vitest';
import { Abort } from '../../../src/runtime/abort.js';
import { readBody } from '../../../src/service/body.js';
import { createMemoryNetwork } from '../../../src/testing/memory-transport.js';
import { endpoint, request } from '../cluster/fixtures.js';

const options = {
  tls: undefined,
  connectTimeoutMs: 1,
  idleTimeoutMs: 1,
  maxConnections: 1,
  maxRequestsPerConnection: 0,
};

describe('the network in memory', () => {
  test('answers what was scripted', async () => {
    const network = createMemoryNetwork();
    network.serve('a:80', (one) => ({ status: 201, headers: { 'x-path': one.path }, body: 'hello' }));
    const { service, close } = network.transport(endpoint('a'), options);
    const response = await service(request({ path: '/p' }));
    expect(response.status).toBe(201);
    expect(response.headers.get('x-path')).toBe('/p');
    expect((await readBody(response.body)).toString()).toBe('hello');
    expect([...network.open.keys()]).toEqual(['a:80']);
    await close();
    expect(network.open.size).toBe(0);
  });

  test('refuses connections where nothing is served', async () => {
    const { service } = createMemoryNetwork().transport(endpoint('a'), options);
    await expect(service(request())).rejects.toMatchObject({ failure: 'connect', requestSent: false });
  });

  test('ends an attempt that hangs when the caller gives up', async () => {
    const network = createMemoryNetwork(() => new Promise(() => {}));
    const abort = new Abort();
    const pending = network.transport(endpoint('a'), options).service(request({ abort }));
    abort.abort(new Error('enough'));
    await expect(pending).rejects.toMatchObject({ failure: 'aborted' });
  });
});
