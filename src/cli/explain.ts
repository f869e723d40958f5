import { explainFiles, formatViolations, type RequestExplanation } from '../control-plane.js';
import { explanationText } from './explain-text.js';
import { headerOf } from './headers.js';
import { labelsOf } from './labels.js';
import type { Output } from './output.js';
import type { PlaneOptions } from './plane-options.js';
import { print } from './print.js';
import { askStatus } from './status-api.js';
import { tellInvalid } from './tell-invalid.js';
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
  if (typeof explanation === 'number') return explanation;
  const { format } = options;
  if (format === 'json' || format === 'yaml') await print(output, format, explanation, () => []);
  else output.out(explanationText(explanation, format === 'wide'));
  return isRefused(explanation) ? 1 : 0;
}

async function readDocuments(options: ExplainOptions, output: Output): Promise<RequestExplanation | number> {
  const { method, url, file = [], from, labels, header = [], gateway, draw } = options;
  const mesh = options.meshConfig === undefined ? {} : await meshOf(options.meshConfig, output);
  if (mesh === undefined) return 1;
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
  if (!result.accepted) return tellInvalid(result.violations, options.format, output);
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
