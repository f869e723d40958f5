import { create } from '@bufbuild/protobuf';
import { core, type wkt } from '../proto/xds.js';

/** A TypedExtensionConfig. */
export function extensionConfig(name: string, typedConfig: wkt.Any): core.TypedExtensionConfig {
  return create(core.TypedExtensionConfigSchema, { name, typedConfig });
}
