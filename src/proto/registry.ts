import type { DescFile, Registry } from '@bufbuild/protobuf';
import { createRegistry } from '@bufbuild/protobuf';
import * as wkt from '@bufbuild/protobuf/wkt';
import { files } from './gen/xds.js';

let built: Registry | undefined;

/**
 * Every generated message, as `toJson` and `fromJson` need it to look inside an `Any`.
 * Built on first use: it evaluates all namespaces, which only admin pages and the CLI should pay for.
 * `toJson` throws on an `Any` of a type that is not in here: ask `schemaOf` first.
 */
export function registry(): Registry {
  built ??= createRegistry(...Object.values<unknown>(wkt).filter(isWellKnownFile), ...files());
  return built;
}

/** The package also carries compiler and language-feature files: nothing that travels in an `Any`. */
function isWellKnownFile(value: unknown): value is DescFile {
  if (typeof value !== 'object' || value === null || !('kind' in value) || value.kind !== 'file')
    return false;
  return 'proto' in value && (value as DescFile).proto.package === 'google.protobuf';
}
