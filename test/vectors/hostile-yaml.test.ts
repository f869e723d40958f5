import { expect } from 'vitest';
import { openConfigFile } from '../../src/control-plane/schema/config-file.js';
import { DEFAULT_LIMITS } from '../../src/control-plane/schema/limits.js';
import { withinCpuMs } from './cpu-time.js';
import { vectorJson, vectorSuite } from './score.js';

interface HostileCase {
  readonly id: string;
  readonly yaml?: string;
  readonly base64?: string;
  readonly generator?: { readonly repeat: string; readonly times: number; readonly suffix?: string };
  readonly expect: string | Readonly<Record<string, unknown>>;
  readonly maxMs: number;
}

const FILE = 'yaml/yaml-hostile.json';

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

// The first call compiles: no case is to pay for that.
read('a: [1, {b: c}]');

vectorSuite({
  file: FILE,
  cases: (vectorJson(FILE) as { cases: readonly HostileCase[] } | undefined)?.cases ?? [],
  title: ({ id }) => id,
  async run(one) {
    const content = contentOf(one);
    // Slow machines: four times the stated limit is still far from a hang.
    const values = await withinCpuMs(one.maxMs * 4, () => read(content));
    expect(isExpected(one.expect, values), JSON.stringify(values)?.slice(0, 100)).toBe(true);
    expect(Object.prototype).not.toHaveProperty('polluted');
  },
});

function isExpected(verdict: HostileCase['expect'], values: readonly unknown[] | undefined): boolean {
  if (typeof verdict !== 'string') return JSON.stringify(values) === JSON.stringify([verdict]);
  if (verdict === 'empty') return values?.length === 0;
  if (verdict === 'string or reject') return values === undefined || JSON.stringify(values).includes('"2026-01-01"');
  const mustReject = verdict === 'reject' || verdict.startsWith('reject-on') || verdict.startsWith('reject-by');
  return !mustReject || values === undefined;
}
