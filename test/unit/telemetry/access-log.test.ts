import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { AccessLogFilter } from '../../../src/model/access-log.js';
import { systemClock } from '../../../src/runtime/clock.js';
import { silentLogger } from '../../../src/runtime/log.js';
import { Completion } from '../../../src/service/completion.js';
import { HeaderMap } from '../../../src/service/headers.js';
import type { Request, Response } from '../../../src/service/service.js';
import { AccessLogs } from '../../../src/telemetry/access-log.js';
import { compileLogFilter } from '../../../src/telemetry/access-log-filter.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { makeRequest, makeResponse } from '../filters/support.js';

const tools = { clock: createFakeClock(), logger: silentLogger, random: () => 0.5 };

/** The lines that one exchange makes. */
function linesOf(format: string | Record<string, unknown>, request: Request, response?: Response): string[] {
  const lines: string[] = [];
  const logger = new AccessLogs({ to: (line) => lines.push(line), format }, tools).logger(undefined);
  logger?.begin(request);
  const end = { status: response?.status ?? 0, error: undefined, durationMs: 12.7, response };
  logger?.end(request, end);
  return lines;
}

describe('access logs', () => {
  test('Envoy’s default line', () => {
    const lines: string[] = [];
    const logger = new AccessLogs({ to: (line) => lines.push(line) }, tools).logger(undefined);
    const request = makeRequest({ path: '/a?b', header: { 'user-agent': 'test' } });
    request.context.upstreamHost = '10.0.0.1:80';
    logger?.begin(request);
    logger?.end(request, { status: 200, error: undefined, durationMs: 3, response: makeResponse(200) });
    const time = new Date(tools.clock.wallTime()).toISOString();
    expect(lines).toEqual([
      `[${time}] "GET /a?b HTTP/1.1" 200 - 0 0 3 - "-" "test" "-" "reviews:9080" "10.0.0.1:80"\n`,
    ]);
  });

  test('a text gets its line break; trailers and flags are there at the end', () => {
    const request = makeRequest({ header: { 'content-type': 'application/grpc' } });
    request.context.flags.push('UF', 'URX');
    const completion = new Completion();
    completion.settle(HeaderMap.from([['grpc-status', '14']]));
    const response = { ...makeResponse(200), completion };
    expect(linesOf('%GRPC_STATUS% %RESPONSE_FLAGS% %RESPONSE_FLAGS_LONG%', request, response)).toEqual([
      'Unavailable UF,URX UpstreamConnectionFailure,UpstreamRetryLimitExceeded\n',
    ]);
  });

  test('JSON keeps the types; an exchange without response has status 0', () => {
    const format = {
      code: '%RESPONSE_CODE%',
      ms: '%DURATION%',
      none: '%UPSTREAM_HOST%',
      fix: 7,
      l: ['%PROTOCOL%'],
    };
    const [line = ''] = linesOf(format, makeRequest());
    expect(JSON.parse(line)).toEqual({ code: 0, ms: 12, none: null, fix: 7, l: ['HTTP/1.1'] });
  });

  test('without any log there is no logger', () => {
    expect(new AccessLogs(undefined, tools).logger(undefined)).toBeUndefined();
  });

  test('a file gets every line by the time the log is closed', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'access-log-'));
    const path = join(folder, 'access.log');
    const logs = new AccessLogs({ to: path, format: '%REQ(x-n)%' }, { ...tools, clock: systemClock });
    const logger = logs.logger(undefined);
    for (let i = 0; i < 1000; i++) {
      const request = makeRequest({ header: { 'x-n': String(i) } });
      logger?.end(request, { status: 200, error: undefined, durationMs: 1, response: makeResponse(200) });
    }
    await logs.close();
    const lines = (await readFile(path, 'utf8')).trimEnd().split('\n');
    expect([lines.length, lines[0], lines.at(-1)]).toEqual([1000, '0', '999']);
    await rm(folder, { recursive: true });
  });
});

describe('access log filters', () => {
  const request = makeRequest({
    header: { 'x-request-id': '0000000a-1234-9abc-8def-0123456789ab', 'x-a': '1' },
  });
  request.context.flags.push('UT');
  request.context.dynamicMetadata = new Map([['ns', { key: 'v' }]]);
  const input = {
    request,
    response: makeResponse(503),
    trailers: undefined,
    exchange: request.context,
    endMs: 100,
    logType: 'DownstreamEnd',
  };
  const exact = (value: string) => ({ kind: 'exact' as const, value, ignoreCase: false });
  const metadata = (path: string[], value: string, matchIfNotFound = true): AccessLogFilter => ({
    kind: 'metadata',
    namespace: 'ns',
    path,
    match: { kind: 'string', matcher: exact(value) },
    matchIfNotFound,
  });
  const atLeast = (value: number): AccessLogFilter => ({ kind: 'status-code', operator: 'ge', value });
  const fraction = (numerator: number) => ({ numerator, denominator: 100 as const });

  test.each<[string, AccessLogFilter, boolean]>([
    ['status', atLeast(500), true],
    ['status below', { kind: 'status-code', operator: 'le', value: 499 }, false],
    ['status equal', { kind: 'status-code', operator: 'eq', value: 503 }, true],
    ['duration', { kind: 'duration', operator: 'ge', value: 101 }, false],
    ['no health check', { kind: 'not-health-check' }, true],
    ['traceable', { kind: 'traceable' }, true],
    [
      'runtime by the request id (10 of 100)',
      { kind: 'runtime', fraction: fraction(11), independent: false },
      true,
    ],
    ['runtime above', { kind: 'runtime', fraction: fraction(10), independent: false }, false],
    ['and', { kind: 'and', filters: [atLeast(500), atLeast(600)] }, false],
    ['or', { kind: 'or', filters: [atLeast(500), atLeast(600)] }, true],
    ['any flag', { kind: 'response-flag', flags: [] }, true],
    ['another flag', { kind: 'response-flag', flags: ['UH'] }, false],
    ['gRPC status from HTTP', { kind: 'grpc-status', statuses: [14], exclude: false }, true],
    ['not that gRPC status', { kind: 'grpc-status', statuses: [14], exclude: true }, false],
    ['metadata', metadata(['key'], 'v'), true],
    ['other metadata', metadata(['key'], 'w'), false],
    ['no metadata', metadata(['none'], 'w', false), false],
    ['log type', { kind: 'log-type', types: ['DownstreamEnd'], exclude: false }, true],
  ])('%s', (_name, filter, expected) => {
    expect(compileLogFilter(filter, () => 0)(input)).toBe(expected);
  });
});
