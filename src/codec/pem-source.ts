import { create } from '@bufbuild/protobuf';
import type { PemSource } from '../model/tls.js';
import { core } from '../proto/xds.js';
import { decodeTextSource } from './data-source.js';
import { at, type Path, refuse } from './path.js';

/** A DataSource that holds PEM text. A file is named and not read: it may change, and is read when it is used. */
export function decodePemSource(source: core.DataSource, path: Path): PemSource {
  const { specifier } = source;
  if (specifier.case !== 'filename') return { kind: 'inline', pem: decodeTextSource(source, path) };
  if (source.watchedDirectory !== undefined) refuse(at(path, 'watched_directory'), 'is not supported');
  if (specifier.value === '') refuse(at(path, 'filename'), 'must not be empty');
  return { kind: 'file', path: specifier.value };
}

/** As a message. */
export function encodePemSource(source: PemSource): core.DataSource {
  return create(core.DataSourceSchema, {
    specifier:
      source.kind === 'file'
        ? { case: 'filename', value: source.path }
        : { case: 'inlineString', value: source.pem },
  });
}
