import { afterEach, expect, test } from 'vitest';
import { istio, World } from './features-world.js';
import { eventually } from './support.js';

let world: World;
afterEach(() => world.close());

function message(text: string): Buffer {
  const frame = Buffer.alloc(5);
  frame.writeUInt32BE(text.length, 1);
  return Buffer.concat([frame, Buffer.from(text)]);
}

const counted = (metrics: string, name: string) =>
  new RegExp(`^istio_${name}_messages_total\\{.*request_protocol="grpc".*\\} (\\d+)$`, 'm').exec(
    metrics,
  )?.[1];

test('the messages of gRPC calls are counted on both sides, and of other requests none', async () => {
  world = await World.start(
    istio(
      'DestinationRule',
      'echo',
      'host: echo\ntrafficPolicy: { connectionPool: { http: { h2UpgradePolicy: UPGRADE } } }',
    ),
  );
  const server = await world.serve({ service: 'echo' }, (request, response) => {
    request.resume();
    request.once('end', () => {
      response.writeHead(200, { 'content-type': 'application/grpc', 'grpc-status': '0' });
      for (const text of ['one', 'two', 'three']) response.write(message(text));
      response.end();
    });
  });
  const client = await world.join();
  const call = async (type: string) => {
    const body = Buffer.concat([message('first'), message('second')]);
    const answer = await client.fetch('http://echo/a.B/c', {
      method: 'POST',
      headers: { 'content-type': type },
      body,
    });
    await answer.arrayBuffer();
  };
  await call('application/octet-stream');
  expect(client.metrics()).not.toContain('messages_total');
  await call('application/grpc');
  await eventually('the server has counted', () => counted(server.mesh.metrics(), 'request') !== undefined);
  for (const metrics of [client.metrics(), server.mesh.metrics()]) {
    expect([counted(metrics, 'request'), counted(metrics, 'response')]).toEqual(['2', '3']);
  }
});
