import * as grpc from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { reportLoad } from '../../../src/grpc.js';
import { readLoad } from '../../../src/mesh/orca/read-load.js';
import type { LoadReport } from '../../../src/model/load-report.js';
import { HeaderMap } from '../../../src/service/headers.js';
import { World } from '../mesh/features-world.js';
import type { TestClient } from './interop-service.js';
import { bareClient, credentialsOf, type GrpcMember, metadataOf, serveGrpc } from './server-support.js';

let world: World;
let member: GrpcMember;
let trusted: grpc.ChannelCredentials;

beforeAll(async () => {
  world = await World.start('');
  member = await serveGrpc(world, {
    'grpc.server_call_metric_recording': 1,
    handlers: {
      unaryCall(call: grpc.ServerUnaryCall<object, object>, callback: grpc.sendUnaryData<object>) {
        const [what] = call.metadata.get('x-report');
        if (what === 'mesh') {
          reportLoad(call, { cpuUtilization: 0.1 });
          reportLoad(call, { cpuUtilization: 0.25, namedMetrics: { queue: 7 } });
        }
        if (what === 'grpc') call.getMetricsRecorder().recordMemoryUtilizationMetric(0.5);
        callback(null, {});
      },
    },
  });
  trusted = credentialsOf(await world.join());
});
afterAll(() => world.close());

/** The report in the trailers of a call. */
function reportOf(client: TestClient, metadata: Record<string, string>): Promise<LoadReport | undefined> {
  return new Promise((resolve, reject) => {
    const call = client.unaryCall({}, metadataOf(metadata), {}, (error) => error !== null && reject(error));
    call.on('status', ({ metadata: trailers }) => {
      const [bytes] = trailers.get('endpoint-load-metrics-bin');
      const text = Buffer.isBuffer(bytes) ? bytes.toString('base64') : '';
      resolve(text === '' ? undefined : readLoad(HeaderMap.from([['endpoint-load-metrics-bin', text]])));
    });
  });
}

describe('reports of load', () => {
  test('what the application says of a call is in its trailers; the later word counts', async () => {
    const report = await reportOf(bareClient(world, member.port), { 'x-report': 'mesh' });
    expect(report).toMatchObject({ cpuUtilization: 0.25, namedMetrics: new Map([['queue', 7]]) });
  });

  test('what is said by the recorder of grpc-js stays', async () => {
    const client = bareClient(world, member.port, trusted);
    const report = await reportOf(client, { 'x-report': 'grpc', 'endpoint-load-metrics-format': 'BIN' });
    expect(report?.memUtilization).toBe(0.5);
  });

  test('what the process says is told to those of the mesh who ask', async () => {
    member.mesh.reportLoad({ applicationUtilization: 0.75 });
    const ask = { 'endpoint-load-metrics-format': 'TEXT' };
    const report = await reportOf(bareClient(world, member.port, trusted), ask);
    expect(report?.applicationUtilization).toBe(0.75);
    expect(await reportOf(bareClient(world, member.port), ask)).toBeUndefined();
  });

  test('the OpenRcaService streams it, to members of the mesh', async () => {
    member.mesh.reportLoad({ applicationUtilization: 0.75 });
    const first = (client: TestClient) =>
      new Promise<Buffer | grpc.status>((resolve) => {
        const same = (bytes: Buffer) => bytes;
        const path = '/xds.service.orca.v3.OpenRcaService/StreamCoreMetrics';
        const call = client.makeServerStreamRequest(path, same, same, Buffer.alloc(0));
        call.on('error', ({ code }: grpc.ServiceError) => resolve(code));
        call.once('data', (bytes: Buffer) => {
          resolve(bytes);
          call.cancel();
        });
      });
    expect(await first(bareClient(world, member.port))).toBe(grpc.status.UNIMPLEMENTED);
    const bytes = await first(bareClient(world, member.port, trusted));
    const text = Buffer.isBuffer(bytes) ? bytes.toString('base64') : '';
    expect(readLoad(HeaderMap.from([['endpoint-load-metrics-bin', text]]))?.applicationUtilization).toBe(
      0.75,
    );
    // Again, now that the service is there.
    expect(await first(bareClient(world, member.port))).toBe(grpc.status.UNIMPLEMENTED);
  });

  test('what is no call is refused', () => {
    expect(() => reportLoad({}, {})).toThrow('no call of a server of the mesh');
  });
});
