import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { openConfigFile } from '../../src/control-plane/schema/config-file.js';
import { DEFAULT_LIMITS } from '../../src/control-plane/schema/limits.js';
import { cpuMsOf } from './cpu-time.js';

interface HostileCase {
  readonly id: string;
  readonly yaml?: string;
  readonly base64?: string;
  readonly generator?: { readonly repeat: string; readonly times: number; readonly suffix?: string };
  readonly expect: string | Readonly<Record<string, unknown>>;
  readonly maxMs: number;
}

const file = new URL('../../../shared/vectors/yaml/yaml-hostile.json', import.meta.url);

function hostileCases(): readonly HostileCase[] {
  if (!existsSync(file)) return [];
  const vectors: { cases: readonly HostileCase[] } = JSON.parse(readFileSync(file, 'utf8'));
  return vectors.cases;
}

function contentOf({ yaml, base64, generator }: HostileCase): string | Uint8Array {
  if (base64 !== undefined) return Buffer.from(base64, 'base64');
  if (generator !== undefined) return generator.repeat.repeat(generator.times) + (generator.suffix ?? '');
  return yaml ?? '';
}

/** The values of the documents in the text; undefined when it is refused. */
function read(content: string | Uint8Array): readonly unknown[] | undefined {
  const opened = openConfigFile({ file: 'hostile.yaml', content }, DEFAULT_LIMITS);
  if ('violation' in opened) return undefined;
  const { documents, violations } = opened.file.read();
  return violations.length > 0 ? undefined : documents.map(({ value }) => value);
}

test('every hostile text gets its verdict, in its time', () => {
  // The first call compiles: no case is to pay for that.
  read('a: [1, {b: c}]');
  const wrong: string[] = [];
  for (const one of hostileCases()) {
    const content = contentOf(one);
    const { result: values, cpuMs } = cpuMsOf(() => read(content));
    // Slow machines: four times the stated limit is still far from a hang.
    if (cpuMs > one.maxMs * 4) wrong.push(`${one.id}: took ${cpuMs.toFixed(0)} ms`);
    if (!isExpected(one.expect, values)) wrong.push(`${one.id}: ${JSON.stringify(values)?.slice(0, 100)}`);
  }
  expect(wrong).toEqual([]);
  expect(Object.prototype).not.toHaveProperty('polluted');
});

function isExpected(verdict: HostileCase['expect'], values: readonly unknown[] | undefined): boolean {
  if (typeof verdict !== 'string') return JSON.stringify(values) === JSON.stringify([verdict]);
  if (verdict === 'empty') return values?.length === 0;
  if (verdict === 'string or reject') return values === undefined || JSON.stringify(values).includes('"2026-01-01"');
  const mustReject = verdict === 'reject' || verdict.startsWith('reject-on') || verdict.startsWith('reject-by');
  return !mustReject || values === undefined;
}
