import type { MtlsReport, MtlsWorkload, PlaintextUse } from '../control-plane.js';
import type { Output } from './output.js';
import { print } from './print.js';
import { askStatus, type StatusApi } from './status-api.js';

/** What `inmesh mtls` was asked for. */
export interface MtlsOptions extends Pick<StatusApi, 'tokenFile' | 'caRoot'> {
  readonly command: 'report' | 'check';
  /** `host:port` or URL of the control plane's status API. */
  readonly controlPlane: string;
  readonly namespace: string | undefined;
  readonly format: 'table' | 'json' | 'yaml';
}

/** Prints who speaks mTLS and who does not; `check` fails when somebody would be refused were everything STRICT. */
export async function mtls(options: MtlsOptions, output: Output): Promise<number> {
  const report = await fetchReport(options);
  const isCheck = options.command === 'check';
  if (options.format !== 'table') await print(output, options.format, report, () => []);
  else output.out(`${(isCheck ? obstaclesOf(report) : linesOf(report)).join('\n')}\n`);
  return isCheck && report.obstacles > 0 ? 1 : 0;
}

async function fetchReport({ controlPlane, namespace, tokenFile, caRoot }: MtlsOptions): Promise<MtlsReport> {
  const query = namespace === undefined ? '' : `?${new URLSearchParams({ namespace })}`;
  // The control plane's own form.
  return (await askStatus({ address: controlPlane, tokenFile, caRoot }, `/api/mtls${query}`)) as MtlsReport;
}

function linesOf(report: MtlsReport): string[] {
  const lines = report.workloads.flatMap((one) => [
    `${placeOf(one)}  ${one.mode}${one.policies.length === 0 ? '' : ` (${one.policies.join(', ')})`}  ${one.identity ?? 'no identity'}`,
    ...one.plaintext.map((caller) => `    plaintext from ${callerOf(caller)}: ${usesOf(caller)}`),
  ]);
  return [...lines, ...(lines.length === 0 ? [] : ['']), ...obstaclesOf(report)];
}

function obstaclesOf(report: MtlsReport): string[] {
  const callers = report.workloads.flatMap((one) =>
    one.plaintext
      .filter(({ connections }) => connections > 0)
      .map((caller) => `${placeOf(one)} is called without TLS by ${callerOf(caller)}: ${usesOf(caller)}`),
  );
  const servers = report.workloads
    .filter(({ identity }) => identity === undefined)
    .map((one) => `${placeOf(one)} has no identity: it speaks no mTLS`);
  const rules = report.plaintextRules.map(
    ({ rule, services }) => `DestinationRule ${rule} takes mTLS from connections to ${services.join(', ')}`,
  );
  const all = [...callers, ...servers, ...rules];
  if (all.length === 0) return ['As far as is known, nobody would be refused were mTLS STRICT.'];
  return ['Would be refused, or would break, were mTLS STRICT:', ...all.map((line) => `  ${line}`)];
}

function placeOf({ service, namespace, address, port }: MtlsWorkload): string {
  return `${service}.${namespace} ${address.includes(':') ? `[${address}]` : address}:${port}`;
}

function callerOf({ source, workload, candidates }: PlaintextUse): string {
  const from = source === '' ? 'further addresses' : source;
  if (workload !== '') return `${from} (${workload}, as it says)`;
  return candidates.length === 0 ? from : `${from} (${candidates.join(' or ')})`;
}

function usesOf({ connections, refused, lastAtMs }: PlaintextUse): string {
  const last = lastAtMs === 0 ? '' : `, last at ${new Date(lastAtMs).toISOString()}`;
  return `${connections} connections${refused === 0 ? '' : `, ${refused} refused`}${last}`;
}
