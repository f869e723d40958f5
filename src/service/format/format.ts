import { coalesceCommand } from './coalesce.js';
import { CONNECTION_COMMANDS } from './connection-commands.js';
import { EXCHANGE_COMMANDS } from './exchange-commands.js';
import { invalidFormat } from './format-error.js';
import { HTTP_COMMANDS } from './http-commands.js';
import type { CommandType, FormatGetter, FormatInput, FormatTools } from './input.js';
import { METADATA_COMMANDS } from './metadata-commands.js';
import { type FormatCommand, parseFormat } from './parse.js';

/** A format string that is ready: an array of texts and getters. */
export interface CompiledFormat {
  /** The text; what has no value is `missing`. */
  text(input: FormatInput): string;
  /** The value of a format that is one command, with its type; undefined when it has none. Else the text. */
  typed(input: FormatInput): unknown;
  /** The text when no command is in it. */
  readonly constant: string | undefined;
}

const COMMANDS: ReadonlyMap<string, CommandType> = new Map([
  ...Object.entries(HTTP_COMMANDS),
  ...Object.entries(EXCHANGE_COMMANDS),
  ...Object.entries(CONNECTION_COMMANDS),
  ...Object.entries(METADATA_COMMANDS),
]);

/**
 * Compiles a format string of Envoy: `%COMMAND%`, `%COMMAND(argument)%`, `%COMMAND(argument):length%`.
 * `missing` stands for values that are not there: `-` in logs, nothing in headers.
 * @throws MeshError `INMESH_CONFIG_INVALID` for an unknown or malformed command.
 */
export function compileFormat(format: string, tools: FormatTools, missing = '-'): CompiledFormat {
  const pieces = parseFormat(format).map((part) =>
    part.kind === 'text' ? part.text : compileCommand(part.command, tools, format),
  );
  const [first] = pieces;
  if (pieces.every((piece) => typeof piece === 'string')) {
    const constant = pieces.join('');
    return { text: () => constant, typed: () => constant, constant };
  }
  const text = (input: FormatInput): string => {
    let out = '';
    for (const piece of pieces) {
      if (typeof piece === 'string') out += piece;
      else {
        const value = piece(input);
        out += value === undefined ? missing : textOf(value);
      }
    }
    return out;
  };
  const typed = pieces.length === 1 && typeof first === 'function' ? first : text;
  return { text, typed, constant: undefined };
}

/** Refuses what {@link compileFormat} would refuse. */
export function checkFormat(format: string): void {
  compileFormat(format, NO_TOOLS);
}

const NO_TOOLS: FormatTools = { clock: { now: () => 0, wallTime: () => 0 }, env: {}, hostname: '' };

/** Compiles one command. */
export function compileCommand(command: FormatCommand, tools: FormatTools, format: string): FormatGetter {
  const { name, argument, maxLength } = command;
  if (name === 'CEL') return invalidFormat(format, 'uses CEL, which is not supported');
  const type = name === 'COALESCE' ? coalesceCommand(compileCommand) : COMMANDS.get(name);
  if (type === undefined) return invalidFormat(format, `has the unknown operator ${name}`);
  if (type.argument === 'none' && argument !== undefined) invalidFormat(format, `gives ${name} an argument`);
  if (type.argument === 'required' && argument === undefined)
    invalidFormat(format, `gives ${name} no argument`);
  if (!type.length && maxLength !== undefined) invalidFormat(format, `limits the length of ${name}`);
  const get = type.make(argument ?? '', tools, format);
  if (maxLength === undefined) return get;
  return (input) => {
    const value = get(input);
    return value === undefined ? undefined : truncate(textOf(value), maxLength);
  };
}

/** The first characters of a text; all of them without a limit. */
export function truncate(text: string, maxLength: number | undefined): string {
  return maxLength === undefined ? text : text.slice(0, maxLength);
}

function textOf(value: unknown): string {
  // Numbers, booleans and Struct values are written alike; what JSON can't write has no text.
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
}
