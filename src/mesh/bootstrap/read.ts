import { MeshError } from '../../runtime/errors.js';
import { type Bootstrap, parseBootstrap } from './bootstrap.js';
import { Field, HINT, type Source } from './field.js';
import { placeOfSyntaxError } from './json-place.js';

/**
 * Reads the bootstrap that `GRPC_XDS_BOOTSTRAP` (a file) or else `GRPC_XDS_BOOTSTRAP_CONFIG` (its content) names.
 * @throws MeshError `INMESH_BOOTSTRAP_INVALID` when it can't be read, or says something that can't be done.
 */
export function readBootstrap(
  env: Readonly<Record<string, string | undefined>>,
  readFile: (path: string) => string,
): Bootstrap | undefined {
  const source = findSource(env, readFile);
  return source === undefined ? undefined : parseBootstrap(new Field(source, parse(source)));
}

function findSource(
  env: Readonly<Record<string, string | undefined>>,
  readFile: (path: string) => string,
): Source | undefined {
  // gRPC: an empty variable is as good as none.
  const path = env['GRPC_XDS_BOOTSTRAP'] || undefined;
  const inline = env['GRPC_XDS_BOOTSTRAP_CONFIG'] || undefined;
  if (path === undefined)
    return inline === undefined ? undefined : { name: 'GRPC_XDS_BOOTSTRAP_CONFIG', text: inline };
  try {
    return { name: path, text: readFile(path) };
  } catch (cause) {
    throw unreadable(path, 'the file of GRPC_XDS_BOOTSTRAP', cause);
  }
}

function parse(source: Source): unknown {
  try {
    return JSON.parse(source.text);
  } catch (cause) {
    const { line, column } = placeOfSyntaxError(source.text);
    throw unreadable(`${source.name}:${line}:${column}`, 'as JSON', cause);
  }
}

function unreadable(where: string, what: string, cause: unknown): MeshError {
  return new MeshError('INMESH_BOOTSTRAP_INVALID', `the xDS bootstrap can not be read: ${what}`, {
    resource: where,
    cause,
    hint: HINT,
  });
}
