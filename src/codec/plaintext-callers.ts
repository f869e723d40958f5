import { isIP } from 'node:net';
import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import type { PlaintextCaller } from '../model/node.js';
import { at, type Path, refuse } from './path.js';

/** More than a member tells apart. */
const MAX_CALLERS = 1_000;
const MAX_NAME = 520;
/** Of a node's metadata. */
const FIELD = 'INMESH_PLAINTEXT';

/** Callers without TLS, as the metadata of a node has them. */
export function encodePlaintextCallers(callers: readonly PlaintextCaller[]): JsonValue {
  return callers.map((one) => ({ ...one }));
}

/** What a node says of its callers without TLS. */
export function decodePlaintextCallers(value: JsonValue, path: Path): readonly PlaintextCaller[] {
  if (!Array.isArray(value) || value.length > MAX_CALLERS) {
    return refuse(at(path, FIELD), `must be a list of at most ${MAX_CALLERS}`);
  }
  return value.map((entry, index) => decodeCaller(entry, at(path, FIELD, index)));
}

function decodeCaller(value: JsonValue, path: Path): PlaintextCaller {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return refuse(path, 'must be an object');
  }
  const source = text(value, 'source', path);
  if (source !== '' && isIP(source) === 0) refuse(at(path, 'source'), 'must be an IP address');
  const port = count(value, 'port', path);
  if (port > 65_535) refuse(at(path, 'port'), 'must be a port number');
  return {
    port,
    source,
    workload: text(value, 'workload', path),
    connections: count(value, 'connections', path),
    refused: count(value, 'refused', path),
    lastAtMs: count(value, 'lastAtMs', path),
  };
}

function text(json: JsonObject, key: string, path: Path): string {
  const value = Object.hasOwn(json, key) ? json[key] : '';
  if (typeof value === 'string' && value.length <= MAX_NAME) return value;
  return refuse(at(path, key), `must be a text of at most ${MAX_NAME} letters`);
}

function count(json: JsonObject, key: string, path: Path): number {
  const value = Object.hasOwn(json, key) ? json[key] : 0;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  return refuse(at(path, key), 'must be a whole number');
}
