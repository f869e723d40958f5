import type { Command } from 'commander';
import { expect, test } from 'vitest';
import { type CompletionTools, candidates } from '../../../src/cli/complete.js';
import { completion } from '../../../src/cli/completion.js';
import { createProgram } from '../../../src/cli/main.js';
import { normalArguments } from '../../../src/cli/normal-arguments.js';

const quiet = { out: () => {}, err: () => {}, color: false };
const program = () => createProgram(quiet, () => {});

function leaves(command: Command): readonly Command[] {
  const own = command.commands.filter((one) => !one.name().startsWith('_'));
  return own.flatMap((one) => (one.commands.length === 0 ? [one] : [one, ...leaves(one)]));
}

function nameOf(command: Command): string {
  return command.parent === null ? '' : `${nameOf(command.parent)} ${command.name()}`.trim();
}

function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({ writeOut: (part) => (text += part) }).outputHelp();
  return text;
}

/** The command lines of ours in an example, without what a shell does with them. */
function linesOf(example: string): readonly string[] {
  return example
    .replace(/\s{2,}.*$/, '')
    .split(/ \| | && /)
    .map((part) => part.replace(/ [<>] \S+$/, '').trim())
    .filter((part) => part.startsWith('inmesh '));
}

/** Words as a shell parts them: what is quoted belongs to the word that it stands in. */
function wordsOf(line: string): readonly string[] {
  const words = line.match(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g) ?? [];
  return words
    .slice(1)
    .map((word) => word.replace(/'([^']*)'|"([^"]*)"/g, (_, a?: string, b?: string) => a ?? b ?? ''));
}

const EXAMPLE = /^ {2}\$ (.+)$/gm;

test('every command has three examples in its help, and each is a command line that there is', async () => {
  const all = leaves(program()).map((command) => ({
    name: nameOf(command),
    examples: [...helpOf(command).matchAll(EXAMPLE)].map(([, text = '']) => text),
  }));
  expect(
    leaves(program())
      .map(helpOf)
      .filter((text) => /\(default: [^)]*\)\s+\(default/.test(text)),
  ).toEqual([]);
  expect(all.filter(({ examples }) => examples.length < 3).map(({ name }) => name)).toEqual([]);
  const wrong: string[] = [];
  for (const line of all.flatMap(({ examples }) => examples.flatMap(linesOf))) {
    const fresh = program();
    let ran = 0;
    for (const one of leaves(fresh)) one.action(() => void ran++);
    const words = [...normalArguments(wordsOf(line))];
    await fresh
      .parseAsync(words, { from: 'user' })
      .catch((error: unknown) => wrong.push(`${line}: ${String(error)}`));
    if (ran !== 1) wrong.push(line);
  }
  expect(wrong).toEqual([]);
});

const tools: CompletionTools = {
  kinds: async () => ['virtualservice', 'service', 'vs', 'svc'],
  names: async (kind) => (kind === 'vs' ? ['reviews', 'ratings'] : ['web']),
  clients: async () => ['reviews-v1', 'web-v1'],
  namespaces: async () => ['default', 'shop', 'shop'],
};
const complete = async (...words: string[]) => candidates(program(), words, tools);

test('shells complete commands, options, values, and the names of what is there', async () => {
  expect((await complete('des')).words).toEqual(['describe']);
  expect((await complete('proxy-config', 'c')).words).toEqual(['clusters']);
  expect((await complete('get', 'v')).words).toEqual(['virtualservice', 'vs']);
  expect((await complete('get', 'vs', 're')).words).toEqual(['reviews']);
  expect((await complete('get', '-n', 'shop', 'vs', 'r')).words).toEqual(['reviews', 'ratings']);
  expect((await complete('delete', 'vs/ra')).words).toEqual(['vs/ratings']);
  expect((await complete('get', '-n', '')).words).toEqual(['default', 'shop']);
  expect((await complete('get', '-o', '')).words).toEqual([
    'table',
    'wide',
    'json',
    'yaml',
    'name',
    'jsonpath=',
    'custom-columns=',
  ]);
  expect((await complete('get', '--output=js')).words).toEqual(['--output=json', '--output=jsonpath=']);
  expect(await complete('apply', '--file=')).toEqual({ words: [], files: true });
  expect((await complete('get', '--sel')).words).toEqual(['--selector']);
  expect((await complete('pc', 'routes', 'rev')).words).toEqual(['reviews-v1']);
  expect((await complete('status', '')).words).toEqual(['reviews-v1', 'web-v1']);
  expect((await complete('shift', '')).words).toEqual(['web']);
  expect((await complete('mtls', 'set', 'S')).words).toEqual(['STRICT']);
  expect((await complete('convert', '--to', '')).words).toEqual(['gateway-api', 'istio', 'ts']);
  expect(await complete('apply', '-f', '')).toEqual({ words: [], files: true });
  expect(await complete('validate', '')).toEqual({ words: [], files: true });
  expect((await complete('')).words).not.toContain('__complete');
});

test.each(['bash', 'zsh', 'fish'] as const)('the script for %s asks the program', (shell) => {
  expect(completion(shell)).toContain('__complete');
});
