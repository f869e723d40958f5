import { create, fromJsonString, toBinary } from '@bufbuild/protobuf';
import type { LoadReport } from '../model/load-report.js';
import { readMessage } from '../proto/read-message.js';
import { orca } from '../proto/xds.js';

/** A report is a few numbers; whoever sends more means no good. */
const MAX_TEXT = 16_384;
const MAX_METRICS = 256;

/** Reads the headers `endpoint-load-metrics-bin` and, if that is not there, `endpoint-load-metrics`. Undefined = no report. */
export function readLoadReport(bin: string | undefined, text: string | undefined): LoadReport | undefined {
  if ((bin ?? text ?? '').length > MAX_TEXT) return undefined;
  try {
    if (bin !== undefined) return fromBase64(bin);
    if (text?.startsWith('TEXT ')) return fromText(text.slice(5));
    if (text?.startsWith('BIN ')) return fromBase64(text.slice(4));
    if (text?.startsWith('JSON ')) {
      return checked(fromJsonString(orca.OrcaLoadReportSchema, text.slice(5)));
    }
  } catch {
    // Envoy: what can't be read counts as no report.
  }
  return undefined;
}

/** A report as bytes; undefined when it is none. */
export function decodeLoadReport(bytes: Uint8Array): LoadReport | undefined {
  try {
    return checked(readMessage(orca.OrcaLoadReportSchema, bytes));
  } catch {
    return undefined;
  }
}

/** The bytes of a report. */
export function encodeLoadReport(report: LoadReport): Uint8Array {
  const message = create(orca.OrcaLoadReportSchema, {
    cpuUtilization: report.cpuUtilization,
    memUtilization: report.memUtilization,
    applicationUtilization: report.applicationUtilization,
    rpsFractional: report.rps,
    eps: report.eps,
    utilization: Object.fromEntries(report.utilization),
    requestCost: Object.fromEntries(report.requestCost),
    namedMetrics: Object.fromEntries(report.namedMetrics),
  });
  return toBinary(orca.OrcaLoadReportSchema, message);
}

/** Padding may be missing, as grpc-go leaves it off. */
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

function fromBase64(text: string): LoadReport | undefined {
  return BASE64.test(text) ? decodeLoadReport(Buffer.from(text, 'base64')) : undefined;
}

function checked(message: orca.OrcaLoadReport): LoadReport | undefined {
  const report = {
    cpuUtilization: message.cpuUtilization,
    memUtilization: message.memUtilization,
    applicationUtilization: message.applicationUtilization,
    rps: message.rpsFractional,
    eps: message.eps,
    utilization: new Map(Object.entries(message.utilization)),
    requestCost: new Map(Object.entries(message.requestCost)),
    namedMetrics: new Map(Object.entries(message.namedMetrics)),
  };
  const { utilization, requestCost, namedMetrics } = report;
  const maps = [utilization, requestCost, namedMetrics];
  if (maps.some((map) => map.size > MAX_METRICS || ![...map.values()].every(Number.isFinite)))
    return undefined;
  const numbers = [report.cpuUtilization, report.memUtilization, report.applicationUtilization];
  return [...numbers, report.rps, report.eps].every(isAmount) ? report : undefined;
}

function isAmount(value: number): boolean {
  return Number.isFinite(value) && value >= 0;
}

const DECIMAL = /^\s*\+?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*$/;

const FIELDS = {
  cpu_utilization: 'cpuUtilization',
  mem_utilization: 'memUtilization',
  application_utilization: 'applicationUtilization',
  rps_fractional: 'rps',
  eps: 'eps',
} as const;

const MAPS = { named_metrics: 'namedMetrics', utilization: 'utilization' } as const;

/** Envoy: `name=value` or `name:value`, with commas between; one that is wrong makes all of them worthless. */
function fromText(text: string): LoadReport | undefined {
  const report = {
    cpuUtilization: 0,
    memUtilization: 0,
    applicationUtilization: 0,
    rps: 0,
    eps: 0,
    utilization: new Map<string, number>(),
    requestCost: new Map<string, number>(),
    namedMetrics: new Map<string, number>(),
  };
  const seen = new Set<string>();
  for (const entry of text.split(',')) {
    if (entry.trim() === '') continue;
    const [, name = '', digits = ''] = /^\s*([^=:]*)[=:](.*)$/.exec(entry) ?? [];
    const value = DECIMAL.test(digits) ? Number(digits) : Number.NaN;
    if (!Number.isFinite(value) || seen.has(name) || seen.size >= MAX_METRICS) return undefined;
    seen.add(name);
    const dot = name.indexOf('.');
    if (dot < 0) {
      if (!Object.hasOwn(FIELDS, name)) return undefined;
      // It is a key of the table, as the line above found.
      report[FIELDS[name as keyof typeof FIELDS]] = value;
      continue;
    }
    const map = name.slice(0, dot);
    const key = name.slice(dot + 1);
    if (key === '' || !Object.hasOwn(MAPS, map)) return undefined;
    // As above.
    report[MAPS[map as keyof typeof MAPS]].set(key, value);
  }
  return report;
}
