import { describe, expect, test } from 'vitest';
import { decodeLoadReport, encodeLoadReport, readLoadReport } from '../../../src/codec/load-report.js';
import type { LoadReport } from '../../../src/model/load-report.js';

const NONE: LoadReport = {
  cpuUtilization: 0,
  memUtilization: 0,
  applicationUtilization: 0,
  rps: 0,
  eps: 0,
  utilization: new Map(),
  requestCost: new Map(),
  namedMetrics: new Map(),
};
const FULL: LoadReport = {
  cpuUtilization: 0.7,
  memUtilization: 0.9,
  applicationUtilization: 0.8,
  rps: 1000,
  eps: 2,
  utilization: new Map([['total', 0.5]]),
  requestCost: new Map(),
  namedMetrics: new Map([
    ['foo', 123],
    ['bar', 0.2],
  ]),
};
const TEXT =
  'cpu_utilization=0.7,application_utilization=0.8,mem_utilization=0.9,rps_fractional=1000,eps=2,named_metrics.foo=123,named_metrics.bar=0.2,utilization.total=0.5';
const base64 = (report: LoadReport) => Buffer.from(encodeLoadReport(report)).toString('base64');
const text = (value: string) => readLoadReport(undefined, value);

describe('reports of load', () => {
  test('are the same in every form', () => {
    expect(text(`TEXT ${TEXT}`)).toEqual(FULL);
    expect(text(`TEXT ${TEXT.replaceAll('=', ':').replaceAll(',', ' , ')}`)).toEqual(FULL);
    expect(text(`BIN ${base64(FULL)}`)).toEqual(FULL);
    expect(readLoadReport(base64(FULL), undefined)).toEqual(FULL);
    const json = `{"cpu_utilization": 0.7, "applicationUtilization": 0.8, "mem_utilization": 0.9, "rps_fractional": 1000,
      "eps": 2, "named_metrics": {"foo": 123, "bar": 0.2}, "utilization": {"total": 0.5}}`;
    expect(text(`JSON ${json}`)).toEqual(FULL);
  });

  test('in binary go first, and need no padding', () => {
    const captured = 'CQAAAAAAAOA/MQAAAAAAAFlAOQAAAAAAAABAQg4KA3JpZhEAAAAAAAAQQA';
    const expected = { ...NONE, cpuUtilization: 0.5, rps: 100, eps: 2, namedMetrics: new Map([['rif', 4]]) };
    expect(readLoadReport(captured, 'TEXT eps=7')).toEqual(expected);
    expect(readLoadReport(`${captured}==`, undefined)).toEqual(expected);
  });

  test.each([
    'BAD random-value',
    '',
    'text eps=1',
    'TEXT eps="1"',
    'TEXT eps=NaN',
    'TEXT eps=inf',
    'TEXT eps=1e999',
    'TEXT eps=-1',
    'TEXT eps=0x10',
    'TEXT eps=1,eps=2',
    'TEXT eps=1,unknown=2',
    'TEXT eps=1,__proto__=2',
    'TEXT constructor.x=2',
    'TEXT named_metrics.=1',
    'TEXT utilization.=1',
    'TEXT not-a-list',
    'JSON no json',
    'JSON {"eps": 1, "unknown_field": 2}',
    'JSON {"eps": "abc"}',
    'JSON {"eps": -1}',
    'JSON {"eps": "NaN"}',
    'JSON {"named_metrics": {"a": "Infinity"}}',
    'BIN ',
    'BIN !!!!',
    'BIN AAAA',
    `TEXT ${Array.from({ length: 300 }, (_, i) => `named_metrics.m${i}=1`).join()}`,
    `TEXT named_metrics.${'x'.repeat(20_000)}=1`,
  ])('that are wrong are none: %s', (value) => {
    expect(text(value)).toBeUndefined();
  });

  test('with impossible numbers are none', () => {
    for (const wrong of [Number.NaN, Number.POSITIVE_INFINITY, -0.1]) {
      expect(decodeLoadReport(encodeLoadReport({ ...FULL, cpuUtilization: wrong }))).toBeUndefined();
    }
    const namedMetrics = new Map([['a', Number.NaN]]);
    expect(decodeLoadReport(encodeLoadReport({ ...FULL, namedMetrics }))).toBeUndefined();
    expect(decodeLoadReport(Uint8Array.of(255, 255))).toBeUndefined();
  });
});
