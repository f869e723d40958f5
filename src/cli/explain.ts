import { explainFiles, formatViolations, type RequestExplanation } from '../control-plane.js';
import { headerOf } from './headers.js';
import { labelsOf } from './labels.js';
import type { Output } from './output.js';
import type { PlaneOptions } from './plane-options.js';
import { print } from './print.js';
import { askStatus } from './status-api.js';
import { meshOf } from './workload-target.js';

/** What `inmesh explain` was asked for. */
export interface ExplainOptions extends PlaneOptions {
  readonly method: string;
  readonly url: string;
  readonly file?: readonly string[];
  readonly from: string;
  readonly labels?: readonly string[];
  readonly header?: readonly string[];
  readonly gateway?: string;
  readonly draw?: number;
  readonly meshConfig?: string;
  readonly format: 'table' | 'wide' | 'json' | 'yaml';
}

/** Shows what becomes of a request; 1 = it would be refused, or the documents are invalid. */
export async function explain(options: ExplainOptions, output: Output): Promise<number> {
  const explanation = options.file === undefined ? await ask(options) : await readDocuments(options, output);
  if (explanation === undefined) return 1;
  const { format } = options;
  if (format === 'json' || format === 'yaml') await print(output, format, explanation, () => []);
  else output.out(textOf(explanation, format === 'wide'));
  return isRefused(explanation) ? 1 : 0;
}

async function readDocuments(
  options: ExplainOptions,
  output: Output,
): Promise<RequestExplanation | undefined> {
  const { method, url, file = [], from, labels, header = [], gateway, draw } = options;
  const mesh = options.meshConfig === undefined ? {} : await meshOf(options.meshConfig, output);
  if (mesh === undefined) return undefined;
  const query = {
    method,
    url,
    from,
    headers: header.map(headerOf),
    labels: labels === undefined ? undefined : labelsOf(labels),
    gateway,
    draw,
  };
  const result = await explainFiles(file, query, mesh);
  if (!result.accepted) {
    output.err(`${formatViolations(result.violations)}\n`);
    return undefined;
  }
  if (result.warnings.length > 0) output.err(`${formatViolations(result.warnings)}\n`);
  return result.explanation;
}

async function ask(options: ExplainOptions): Promise<RequestExplanation> {
  const { method, url, from, labels = [], header = [], gateway, draw } = options;
  const query = new URLSearchParams({ method, url, from });
  for (const text of header) query.append('header', headerOf(text).join(':'));
  for (const text of labels) query.append('labels', text);
  if (gateway !== undefined) query.set('gateway', gateway);
  if (draw !== undefined) query.set('draw', String(draw));
  const { controlPlane: address, tokenFile, caRoot } = options;
  // What the API answers is what it says in openapi.json.
  return (await askStatus({ address, tokenFile, caRoot }, `/api/explain?${query}`)) as RequestExplanation;
}

function isRefused({ outcome, policy, endpoints, reason }: RequestExplanation): boolean {
  if (outcome === 'refused') return true;
  const servers = policy?.server ?? [];
  const isDenied = servers.length > 0 && servers.every(({ authorization }) => authorization === 'denied');
  return outcome === 'forwarded' && (isDenied || (endpoints.length > 0 && reason.includes('503 UH')));
}

function textOf(explained: RequestExplanation, isWide: boolean): string {
  const { request, from, outcome, reason, rewritten, response, clusters, documents } = explained;
  const lines = [
    `${request.method} ${request.scheme}://${request.authority}${request.path}   from ${from.namespace}`,
  ];
  const add = (title: string, text: string | undefined | null) => {
    if (text !== undefined && text !== null && text !== '') lines.push(`  ${title.padEnd(10)} ${text}`);
  };
  add('outcome', `${outcome}: ${reason}`);
  add('listener', explained.listener);
  add('host', explained.virtualHost);
  add(
    'route',
    explained.route &&
      `${explained.route.name || explained.route.index} ${JSON.stringify(explained.route.match)}`,
  );
  for (const { kind, namespace, name, file, line } of documents)
    add('document', `${kind} ${namespace}/${name} (${file}:${line})`);
  for (const { name, share } of clusters) {
    add(
      'cluster',
      `${share}% ${name}${clusters.length > 1 && name === explained.cluster ? '  <- chosen' : ''}`,
    );
  }
  for (const change of rewritten?.changes ?? []) add('changed', change);
  add('answer', response && `${response.status} ${response.location ?? response.body ?? ''}`.trimEnd());
  add('limits', limitsOf(explained));
  for (const { cluster, percent } of explained.mirrors) add('mirror', `${percent}% ${cluster}`);
  for (const { namespace, mtls, authorization, policies } of explained.policy?.server ?? []) {
    add(
      'server',
      `${namespace}: mTLS ${mtls}, ${authorization}${policies.length > 0 ? ` by ${policies.join(', ')}` : ''}`,
    );
  }
  for (const one of explained.endpoints) {
    add(
      'endpoint',
      `${one.address}:${one.port} ${one.sharePercent}% ${one.health}, TLS ${one.tls}, priority ${one.priority} ${one.locality}`.trimEnd(),
    );
  }
  if (isWide)
    for (const { name, config } of explained.filters) add('filter', `${name} ${JSON.stringify(config)}`);
  if (isWide && explained.policy !== null) {
    add('balancer', JSON.stringify(explained.policy.loadBalancer));
    add('breakers', JSON.stringify(explained.policy.circuitBreakers));
    add('outliers', JSON.stringify(explained.policy.outlierDetection));
  }
  return `${lines.join('\n')}\n`;
}

function limitsOf({ timeouts, retries }: RequestExplanation): string | undefined {
  if (timeouts === null) return undefined;
  const timeout = timeouts.requestMs === 0 ? 'no timeout' : `timeout ${timeouts.requestMs} ms`;
  const tries =
    retries === null || retries.numRetries === 0
      ? 'no retries'
      : `${retries.numRetries} retries on ${retries.retryOn.join(',')}`;
  return `${timeout}, ${tries}`;
}
