import { describe, expect, test } from 'vitest';
import type { ResponseFlag } from '../../src/service/context.js';
import { compileFormat, truncate } from '../../src/service/format/format.js';
import { compileJsonFormat, type JsonTemplate } from '../../src/service/format/json-format.js';
import { translateLegacy } from '../../src/service/format/parse.js';
import { formatFlags, isResponseFlag, LONG_FLAGS } from '../../src/service/format/response-flags.js';
import { hasVectors, readCases, readText } from './envoy-config.js';
import { type FormatContext, inputOf, toolsOf } from './format-input.js';

const LOG = 'vectors/access_log_format.json';
const HEADERS = 'vectors/header_formatter.json';
const document = (name: string) => (hasVectors ? JSON.parse(readText(name)) : {});

interface FormatCase extends FormatContext {
  readonly format: string;
  readonly expect: string;
  readonly typed?: unknown;
}

describe.runIf(hasVectors)('Envoy: access log formats', () => {
  test.each(readCases<FormatCase>(LOG).map((one) => [one.format, one] as const))('%s', (format, one) => {
    const compiled = compileFormat(format, toolsOf(one));
    expect(compiled.text(inputOf(one))).toBe(one.expect);
    if ('typed' in one) expect(compiled.typed(inputOf(one)) ?? null).toEqual(one.typed);
  });

  test.each(readCases<string>(LOG, 'invalid_formats'))('%s is refused', (format) => {
    expect(() => compileFormat(format, toolsOf({}))).toThrow('INMESH_CONFIG_INVALID');
  });

  test.each(readCases<string>(LOG, 'valid_formats'))('%s is taken', (format) => {
    expect(() => compileFormat(format, toolsOf({}))).not.toThrow();
  });

  interface JsonCase extends FormatContext {
    readonly format: { readonly [key: string]: JsonTemplate };
    readonly expect: unknown;
  }
  test.each(readCases<JsonCase>(LOG, 'json_formats'))('JSON %#', (one) => {
    expect(JSON.parse(compileJsonFormat(one.format, toolsOf(one))(inputOf(one)))).toEqual(one.expect);
  });

  test('texts are cut to their length', () => {
    const rows = (document(LOG).misc?.truncate ?? []) as [string, number | null, string][];
    for (const [text, length, expected] of rows) expect(truncate(text, length ?? undefined)).toBe(expected);
  });

  test('the default format is valid', () => {
    expect(() => compileFormat(document(LOG).default_format as string, toolsOf({}))).not.toThrow();
  });
});

describe.runIf(hasVectors)('Envoy: header formats', () => {
  const context = (document(HEADERS).context ?? {}) as FormatContext & {
    request_headers?: Record<string, string>;
  };
  const full = { ...context, headers: { request: context.request_headers ?? {} } };
  interface HeaderCase {
    readonly format: string;
    readonly output?: string;
    readonly invalid?: boolean;
  }
  test.each(readCases<HeaderCase>(HEADERS, 'format_cases').map((one) => [one.format, one] as const))(
    '%s',
    (format, { output, invalid }) => {
      const run = () => compileFormat(translateLegacy(format), toolsOf(full), '').text(inputOf(full));
      if (invalid === true) expect(run).toThrow('INMESH_CONFIG_INVALID');
      else expect(run()).toBe(output);
    },
  );

  test.each(readCases<{ in: string; out: string }>(HEADERS, 'legacy_translation'))('$in', (one) => {
    expect(translateLegacy(one.in)).toBe(one.out);
  });
});

describe.runIf(hasVectors)('Envoy: response flags', () => {
  const FLAGS = 'vectors/response_flags.json';
  test('short and long forms', () => {
    const flags = readCases<{ short: ResponseFlag; long: string }>(FLAGS, 'flags');
    for (const { short, long } of flags) expect(LONG_FLAGS[short]).toBe(long);
    expect(Object.keys(LONG_FLAGS)).toHaveLength(flags.length);
  });
  test.each(readCases<{ flags: ResponseFlag[]; short: string; long: string }>(FLAGS))('$short', (one) => {
    expect([formatFlags(one.flags), formatFlags(one.flags, 'long')]).toEqual([one.short, one.long]);
  });
  test.each(readCases<string>(FLAGS, 'unknown'))('%s is no flag', (flag) => {
    expect(isResponseFlag(flag)).toBe(false);
  });
});
