import { once } from 'node:events';
import {
  createServer,
  request as httpRequest,
  type IncomingHttpHeaders,
  type RequestListener,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { LoadReports, reportLoad } from '../../../../src/bindings/http/load/load-reports.js';
import { loadText } from '../../../../src/bindings/http/load/reported-load.js';
import { readLoadReport } from '../../../../src/codec/load-report.js';
import type { ProcessLoad } from '../../../../src/runtime/process-load.js';
import { createFakeClock } from '../../../../src/testing/fake-clock.js';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** A server with reports, whose time and load the test decides. */
async function serve(handler: RequestListener, isTrusted = true) {
  const clock = createFakeClock();
  let load: ProcessLoad = { activeMs: 0, idleMs: 0, cpuMs: 0, processors: 2 };
  const reports = new LoadReports(clock, () => load);
  const server = createServer((request, response) => {
    reports.arrived(request, response, isTrusted);
    handler(request, response);
  }).listen(0, '127.0.0.1');
  closers.push(() => server.close());
  await once(server, 'listening');
  // A listening TCP server has an address of this form.
  const { port } = server.address() as AddressInfo;
  const get = async (headers: Record<string, string> = {}): Promise<IncomingHttpHeaders> => {
    const sent = httpRequest({ port, host: '127.0.0.1', headers, agent: false }).end();
    const [response] = await once(sent, 'response');
    response.resume();
    await once(response, 'close');
    return response.headers;
  };
  const spend = async (ms: number, active: number, cpu: number) => {
    await clock.advance(ms);
    load = {
      activeMs: load.activeMs + active,
      idleMs: load.idleMs + ms - active,
      cpuMs: load.cpuMs + cpu,
      processors: 2,
    };
  };
  return { get, spend };
}

const ASK = { 'endpoint-load-metrics-format': 'TEXT' };

describe('reports of load in responses', () => {
  test('tell who asks of the last second', async () => {
    let status = 500;
    const { get, spend } = await serve((_request, response) => response.writeHead(status).end());
    expect(await get(ASK)).not.toHaveProperty('endpoint-load-metrics');
    status = 200;
    for (let i = 0; i < 3; i++) await get();
    await spend(2000, 500, 1000);
    const { 'endpoint-load-metrics': text } = await get(ASK);
    expect(text).toBe('TEXT application_utilization=0.25,cpu_utilization=0.25,rps_fractional=2.5,eps=0.5');
    expect(readLoadReport(undefined, String(text))).toMatchObject({ rps: 2.5, applicationUtilization: 0.25 });
    expect(await get()).not.toHaveProperty('endpoint-load-metrics');
  });

  test('tell strangers nothing but what the application says', async () => {
    const { get, spend } = await serve((request, response) => {
      if (request.url === '/') reportLoad(request, { namedMetrics: { queue: 3 } });
      response.end();
    }, false);
    expect(await get(ASK)).toMatchObject({ 'endpoint-load-metrics': 'TEXT named_metrics.queue=3' });
    await spend(1000, 100, 100);
    expect((await get())['endpoint-load-metrics']).toMatch(/^TEXT application_utilization=0\.1,.*queue=3$/);
  });

  test('are what the application said last, as long as the head is not out', async () => {
    const { get } = await serve((request, response) => {
      reportLoad(request, { applicationUtilization: 0.5, rps: 10 });
      reportLoad(request, { applicationUtilization: 0.75, rps: 10 });
      response.flushHeaders();
      reportLoad(request, { applicationUtilization: 1, rps: 10 });
      response.end();
    });
    const { 'endpoint-load-metrics': text } = await get();
    expect(text).toBe('TEXT application_utilization=0.75,rps_fractional=10');
  });

  test('have no numbers that are none, and no names that would break them', () => {
    for (const rps of [Number.NaN, -1, Number.POSITIVE_INFINITY]) {
      expect(() => loadText({ rps }, undefined)).toThrow('is no report of load');
    }
    expect(() => loadText({ namedMetrics: { 'a,eps=9': 1 } }, undefined)).toThrow('is no report of load');
    expect(loadText({}, undefined)).toBeUndefined();
  });
});
