import { type FindingLevel, isAtLeast } from '../control-plane.js';
import { counted } from '../runtime/counted.js';
import { MeshError } from '../runtime/errors.js';
import type { Output } from './output.js';
import type { PlaneOptions } from './plane-options.js';
import { type Format, print } from './print.js';
import { callPlane, errorOf } from './status-api.js';
import { readSuppressions } from './suppressions.js';

/** What is asked about what is in force. */
export interface LiveAnalysis extends PlaneOptions {
  readonly namespace?: string;
  readonly analyzer?: readonly string[];
  readonly suppress?: readonly string[];
  readonly failureThreshold: FindingLevel;
  readonly outputThreshold: FindingLevel;
  readonly istioNamespace: string;
  readonly format: Format;
}

/** As openapi.json says. */
interface LiveFinding {
  readonly code: string;
  readonly level: FindingLevel;
  readonly origin: string;
  readonly message: string;
  readonly suggestion?: string;
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** Prints what the objects in force say that others do not bear out; 1 = findings at the failure threshold. */
export async function analyzeLive(options: LiveAnalysis, output: Output): Promise<number> {
  const { controlPlane: address, tokenFile, caRoot, namespace, analyzer, suppress, istioNamespace } = options;
  readSuppressions(suppress, output);
  const { status, body } = await callPlane({ address, tokenFile, caRoot }, '/api/analyze?with=stored', {
    method: 'POST',
    body: { namespace, analyzers: analyzer, suppress, istioNamespace },
  });
  if (status !== 200) {
    throw new MeshError(
      'INMESH_CONTROL_PLANE_UNAVAILABLE',
      errorOf(body)?.message ?? `its status API answered ${status}`,
    );
  }
  const findings = body as readonly LiveFinding[];
  const shown = findings.filter(({ level }) => isAtLeast(level, options.outputThreshold));
  const { format } = options;
  if (format === 'json' || format === 'yaml') await print(output, format, shown, () => []);
  else if (format === 'name')
    for (const origin of new Set(shown.map((one) => one.origin))) output.out(`${origin}\n`);
  else {
    for (const one of shown) output.out(`${textOf(one)}\n`);
    output.err(shown.length === 0 ? 'no findings\n' : `${counted(shown.length, 'finding')}\n`);
  }
  return findings.some(({ level }) => isAtLeast(level, options.failureThreshold)) ? 1 : 0;
}

function textOf({ code, level, origin, message, suggestion, file, line, column }: LiveFinding): string {
  const hint = suggestion === undefined ? '' : ` (did you mean ${JSON.stringify(suggestion)}?)`;
  return `${line === 0 ? file : `${file}:${line}:${column}`} ${level} ${code} ${origin}: ${message}${hint}`;
}
