import { readFileSync } from 'node:fs';
import { core } from '../proto/xds.js';
import { messageOf } from '../runtime/errors.js';
import { processNames } from '../runtime/process.js';
import { onlyFields } from './field-guard.js';
import { at, type Path, refuse } from './path.js';

const sourceFields = onlyFields(() => core.DataSourceSchema, {
  enforced: ['inline_string', 'inline_bytes', 'filename', 'environment_variable'],
});

/** The text of a DataSource. Envoy reads files when the configuration is loaded, and refuses it when it can't. */
export function decodeTextSource(source: core.DataSource, path: Path): string {
  sourceFields(source, path);
  const { specifier } = source;
  switch (specifier.case) {
    case 'inlineString':
      return specifier.value;
    case 'inlineBytes':
      return utf8(specifier.value, at(path, 'inline_bytes'));
    case 'filename':
      return utf8(readFile(specifier.value, at(path, 'filename')), at(path, 'filename'));
    case 'environmentVariable': {
      const value = processNames().env[specifier.value];
      return value ?? refuse(at(path, 'environment_variable'), `${specifier.value} is not set`);
    }
    default:
      return refuse(path, 'needs inline_string, inline_bytes, filename or environment_variable');
  }
}

function readFile(file: string, path: Path): Uint8Array {
  try {
    return readFileSync(file);
  } catch (cause) {
    return refuse(path, `can't be read: ${messageOf(cause)}`, cause);
  }
}

function utf8(bytes: Uint8Array, path: Path): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    return refuse(path, 'is no UTF-8 text', cause);
  }
}
