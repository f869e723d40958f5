import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import type { AppendAction, HeaderMutations } from '../../src/model/header-mutation.js';
import { compileMutations } from '../../src/routing/header-mutation.js';
import type { ResponseFlag } from '../../src/service/context.js';
import { compileFormat, truncate } from '../../src/service/format/format.js';
import { compileJsonFormat, type JsonTemplate } from '../../src/service/format/json-format.js';
import { translateLegacy } from '../../src/service/format/parse.js';
import { formatFlags, isResponseFlag, LONG_FLAGS } from '../../src/service/format/response-flags.js';
import { HeaderMap } from '../../src/service/headers.js';
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

interface MutationCase {
  readonly name: string;
  readonly route_yaml?: string;
  readonly direction: 'request' | 'response';
  readonly context?: FormatContext;
  readonly headers_to_add?: readonly OptionYaml[];
  readonly headers_to_remove?: readonly string[];
  readonly headers: readonly (readonly [string, string])[];
  readonly expect: readonly { header: string; value?: string; present?: boolean; count?: number }[];
}
interface OptionYaml {
  readonly key?: string;
  readonly value?: string;
  readonly header?: { key: string; value: string };
  readonly append_action?: string;
}

function mutationsOf(one: MutationCase): HeaderMutations {
  const yaml = one.route_yaml === undefined ? {} : (parse(one.route_yaml) as Record<string, unknown>);
  const add = (one.headers_to_add ?? yaml[`${one.direction}_headers_to_add`] ?? []) as OptionYaml[];
  const remove = (one.headers_to_remove ?? yaml[`${one.direction}_headers_to_remove`] ?? []) as string[];
  return {
    remove,
    add: add.map(({ key, value, header, append_action: action = 'APPEND_IF_EXISTS_OR_ADD' }) => ({
      name: key ?? header?.key ?? '',
      value: translateLegacy(value ?? header?.value ?? ''),
      action: action.toLowerCase().replaceAll('_', '-') as AppendAction,
      keepEmpty: false,
    })),
  };
}

describe.runIf(hasVectors)('Envoy: header mutations', () => {
  const context = (document(HEADERS).context ?? {}) as FormatContext;
  test.each(readCases<MutationCase>(HEADERS, 'mutation_cases'))('$name', (one) => {
    const known = { ...context, ...one.context };
    const headers = HeaderMap.from(one.headers.filter(([name]) => !name.startsWith(':')));
    // Without stream info Envoy writes the values as they stand.
    const input = one.name.includes('NullStreamInfo') ? undefined : inputOf(known);
    compileMutations([mutationsOf(one)], toolsOf(known))?.(headers, input);
    for (const { header, value, present, count } of one.expect) {
      if (present !== undefined) expect(headers.has(header), header).toBe(present);
      if (value !== undefined) expect(headers.get(header), header).toBe(value);
      if (count !== undefined) expect(headers.getAll(header), header).toHaveLength(count);
    }
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
