import {
  ANALYZERS,
  analyzeFiles,
  describeFinding,
  type Finding,
  type FindingLevel,
  formatFinding,
  formatViolation,
  isAtLeast,
} from '../control-plane.js';
import { counted } from '../runtime/counted.js';
import { MeshError } from '../runtime/errors.js';
import type { Output } from './output.js';
import { print } from './print.js';
import { readSuppressions } from './suppressions.js';
import { table } from './table.js';

/** What `inmesh analyze` was asked for. */
export interface AnalyzeCommand {
  readonly files: readonly string[];
  readonly namespace?: string;
  readonly analyzer?: readonly string[];
  readonly suppress?: readonly string[];
  readonly failureThreshold: FindingLevel;
  readonly outputThreshold: FindingLevel;
  readonly meshConfig?: string;
  readonly meshNetworks?: string;
  readonly istioNamespace: string;
  readonly listAnalyzers: boolean;
  readonly ignoreUnknown: boolean;
  readonly format: 'table' | 'wide' | 'json' | 'yaml' | 'name';
}

/** Prints what documents say that others do not bear out: 0 nothing bad, 1 findings, 2 a file that can't be read. */
export async function analyze(options: AnalyzeCommand, output: Output): Promise<number> {
  const { files, analyzer, meshConfig, meshNetworks, istioNamespace, format } = options;
  if (options.listAnalyzers) return listAnalyzers(options, output);
  const unknown = (analyzer ?? []).find((name) => !ANALYZERS.some((one) => one.name === name));
  if (unknown !== undefined) {
    throw new MeshError('INMESH_OPTION_INVALID', `there is no analyzer ${unknown}`, {
      hint: 'inmesh analyze --list-analyzers lists them',
    });
  }
  const further = [meshConfig, meshNetworks].flatMap((path) => path ?? []);
  const paths = [...files, ...further];
  const { findings, unread, documents } = await analyzeFiles(paths, {
    analyzers: analyzer,
    suppressions: readSuppressions(options.suppress, output),
    istioNamespace,
  });
  for (const one of unread) output.err(`${formatViolation(one)}\n`);
  const { ignoreUnknown } = options;
  if (unread.length > 0 && !ignoreUnknown) return 2;
  const own = findings.filter(
    ({ namespace, code }) => isOf(namespace, options.namespace) && !(ignoreUnknown && code === 'INM0001'),
  );
  const shown = own.filter(({ level }) => isAtLeast(level, options.outputThreshold));
  await show(shown, { format, documents }, output);
  return own.some(({ level }) => isAtLeast(level, options.failureThreshold)) ? 1 : 0;
}

/** What is in no namespace, or in no document, concerns every one. */
const isOf = (namespace: string, wanted: string | undefined): boolean =>
  wanted === undefined || namespace === '' || namespace === wanted;

interface Showing {
  readonly format: AnalyzeCommand['format'];
  readonly documents: number;
}

async function show(
  findings: readonly Finding[],
  { format, documents }: Showing,
  output: Output,
): Promise<void> {
  if (format === 'json' || format === 'yaml') {
    await print(output, format, findings.map(describeFinding), () => []);
  } else if (format === 'name') {
    for (const origin of new Set(findings.map((one) => one.origin))) output.out(`${origin}\n`);
  } else {
    for (const one of findings) output.out(`${formatFinding(one, format === 'wide')}\n`);
    const counts = (['Error', 'Warning', 'Info'] as const).flatMap((level) => {
      const count = findings.filter((one) => one.level === level).length;
      return count === 0 ? [] : `${count} ${level}`;
    });
    output.err(
      `${counted(documents, 'document')}: ${counts.length === 0 ? 'no findings' : counts.join(', ')}\n`,
    );
  }
}

async function listAnalyzers({ format }: AnalyzeCommand, output: Output): Promise<number> {
  const rows = ANALYZERS.map(({ name, summary, codes }) => ({ name, summary, codes }));
  if (format === 'json' || format === 'yaml') await print(output, format, rows, () => []);
  else if (format === 'name') for (const { name } of rows) output.out(`${name}\n`);
  else {
    output.out(
      table(
        ['NAME', 'LOOKS AT', 'CODES'],
        rows.map(({ name, summary, codes }) => [name, summary, codes.join(',')]),
      ),
    );
  }
  return 0;
}
