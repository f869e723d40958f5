import { invalidFormat } from './format-error.js';
import type { CommandType, FormatGetter, FormatTools } from './input.js';
import type { FormatCommand } from './parse.js';

type CompileCommand = (command: FormatCommand, tools: FormatTools, format: string) => FormatGetter;

/**
 * `COALESCE({"operators": ["NAME", {"command": "NAME", "param": "…", "max_length": 9}]})`: the first that has a value
 * which is not empty.
 */
export function coalesceCommand(compile: CompileCommand): CommandType {
  return {
    argument: 'required',
    length: true,
    make: (argument, tools, format) => {
      const getters = operatorsOf(argument, format).map((one) =>
        compile(commandOf(one, format), tools, format),
      );
      return (input) => {
        for (const get of getters) {
          const value = get(input);
          if (value !== undefined && value !== '') return value;
        }
        return undefined;
      };
    },
  };
}

function operatorsOf(json: string, format: string): readonly unknown[] {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return invalidFormat(format, 'has a COALESCE whose argument is no JSON');
  }
  const operators = isObject(value) ? value['operators'] : undefined;
  return Array.isArray(operators) && operators.length > 0
    ? operators
    : invalidFormat(format, 'has a COALESCE without operators');
}

function commandOf(operator: unknown, format: string): FormatCommand {
  if (typeof operator === 'string') return { name: operator, argument: undefined, maxLength: undefined };
  if (!isObject(operator) || typeof operator['command'] !== 'string') {
    return invalidFormat(format, 'has a COALESCE operator without command');
  }
  const { command: name, param, max_length: maxLength } = operator;
  if (param !== undefined && typeof param !== 'string') {
    return invalidFormat(format, 'has a COALESCE operator whose param is no string');
  }
  if (maxLength !== undefined && (typeof maxLength !== 'number' || maxLength < 0)) {
    return invalidFormat(format, 'has a COALESCE operator with a wrong max_length');
  }
  return { name, argument: param, maxLength };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
