import type { Command, Option } from 'commander';
import type { PlaneOptions } from './plane-options.js';

/** What may come next on a command line. */
export interface Candidates {
  readonly words: readonly string[];
  /** Files may, too. */
  readonly files: boolean;
}

/** Who is asked for the names of what is there. */
export interface CompletionTools {
  readonly kinds: () => Promise<readonly string[]>;
  readonly names: (kind: string, plane: PlaneOptions) => Promise<readonly string[]>;
  readonly clients: (plane: PlaneOptions) => Promise<readonly string[]>;
  readonly namespaces: (plane: PlaneOptions) => Promise<readonly string[]>;
}

const NOTHING: Candidates = { words: [], files: false };
const FILES: Candidates = { words: [], files: true };

/** What may take the place of the last word; the words are those after the program's name. */
export async function candidates(
  program: Command,
  words: readonly string[],
  tools: CompletionTools,
): Promise<Candidates> {
  const { command, args, plane } = walk(program, words.slice(0, -1));
  const last = words.at(-1) ?? '';
  const [, flag, given] = /^(--[\w-]+)=(.*)$/s.exec(last) ?? [];
  if (flag !== undefined && given !== undefined) {
    const option = optionNamed(command, flag);
    const { words: values, files } = option === undefined ? NOTHING : await valuesOf(option, plane, tools);
    const fitting = values.filter((word) => word.startsWith(given));
    return { words: [...new Set(fitting)].map((word) => `${flag}=${word}`), files };
  }
  const before = optionNamed(command, words.at(-2));
  const found =
    before !== undefined && (before.required || before.optional)
      ? await valuesOf(before, plane, tools)
      : last.startsWith('-')
        ? flagsOf(command)
        : await argumentsOf(command, { args, last, plane }, tools);
  return { ...found, words: [...new Set(found.words)].filter((word) => word.startsWith(last)) };
}

interface Walked {
  readonly command: Command;
  readonly args: readonly string[];
  readonly plane: PlaneOptions;
}

/** The command that words lead to, its arguments, and where its control plane is. */
function walk(program: Command, words: readonly string[]): Walked {
  let command = program;
  const args: string[] = [];
  const values: Record<string, string> = {};
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? '';
    if (word.startsWith('-')) {
      const [flag = '', own] = word.split('=', 2);
      const option = optionNamed(command, flag);
      const value = own ?? (option?.required === true ? words[++at] : undefined);
      if (option !== undefined && value !== undefined) values[option.attributeName()] = value;
      continue;
    }
    const next = command.commands.find((one) => one.name() === word || one.aliases().includes(word));
    if (next !== undefined && args.length === 0) command = next;
    else args.push(word);
  }
  const { controlPlane = '127.0.0.1:15014', tokenFile, caRoot } = values;
  return { command, args, plane: { controlPlane, tokenFile, caRoot } };
}

function optionNamed(command: Command, flag: string | undefined): Option | undefined {
  return command.options.find(({ long, short }) => flag !== undefined && (flag === long || flag === short));
}

function flagsOf(command: Command): Candidates {
  const flags = command.options.flatMap(({ long, short }) => long ?? short ?? []);
  return { words: [...flags, '--help'], files: false };
}

async function valuesOf(option: Option, plane: PlaneOptions, tools: CompletionTools): Promise<Candidates> {
  const [, list] = /\(([a-z, =…-]+)\)/.exec(option.long === '--output' ? option.description : '') ?? [];
  if (list !== undefined) return { words: list.replaceAll('…', '').split(', '), files: false };
  if (option.argChoices !== undefined) return { words: option.argChoices, files: false };
  if (option.long === '--namespace') return { words: await tools.namespaces(plane), files: false };
  return /<(?:file|path|dir)/.test(option.flags) ? FILES : NOTHING;
}

interface Asked {
  readonly args: readonly string[];
  readonly last: string;
  readonly plane: PlaneOptions;
}

/** Commands whose first argument is a kind, and whose further ones are its names. */
const OF_KINDS = new Set(['get', 'describe', 'delete']);
/** Commands whose first argument is a service. */
const OF_SERVICES = new Set(['shift', 'retry', 'timeout', 'fault']);

async function argumentsOf(
  command: Command,
  { args, last, plane }: Asked,
  tools: CompletionTools,
): Promise<Candidates> {
  if (command.commands.length > 0 && args.length + command.registeredArguments.length === 0)
    return subcommandsOf(command);
  const name = command.name();
  if (name === 'schema' && args.length === 0) return { words: await tools.kinds(), files: false };
  if (OF_KINDS.has(name)) return objectsOf({ args, last, plane }, tools);
  if (OF_SERVICES.has(name) && args.length === 0)
    return { words: await tools.names('services', plane), files: false };
  const isOfClients = name === 'status' || command.parent?.name() === 'proxy-config';
  if (isOfClients && args.length === 0) return { words: await tools.clients(plane), files: false };
  const argument = command.registeredArguments[Math.min(args.length, command.registeredArguments.length - 1)];
  if (argument?.argChoices !== undefined) return { words: argument.argChoices, files: false };
  return argument?.name() === 'path' || argument?.name() === 'command' ? FILES : NOTHING;
}

function subcommandsOf({ commands }: Command): Candidates {
  return { words: commands.map((one) => one.name()).filter((one) => !one.startsWith('_')), files: false };
}

/** A kind, then its names; or both as kind/name. */
async function objectsOf({ args, last, plane }: Asked, tools: CompletionTools): Promise<Candidates> {
  const [kind] = args;
  const [before = '', name] = last.split('/', 2);
  if (name !== undefined) {
    const names = await tools.names(before, plane);
    return { words: names.map((one) => `${before}/${one}`), files: false };
  }
  return {
    words: kind === undefined ? await tools.kinds() : await tools.names(kind, plane),
    files: false,
  };
}
