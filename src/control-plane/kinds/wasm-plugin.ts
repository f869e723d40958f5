import type { Kind } from './kind.js';
import { trafficExtensionSchema, wasmPluginSchema } from './wasm-plugin-schema.js';

/** Istio WasmPlugin: a module of WebAssembly in the way of requests. */
export const wasmPluginKind: Kind<'WasmPlugin'> = {
  name: 'WasmPlugin',
  apiVersions: ['extensions.istio.io/v1alpha1'],
  schema: wasmPluginSchema,
  validate: () => [],
};

/** Istio TrafficExtension: the same, or a script of Lua. */
export const trafficExtensionKind: Kind<'TrafficExtension'> = {
  name: 'TrafficExtension',
  apiVersions: ['extensions.istio.io/v1alpha1'],
  schema: trafficExtensionSchema,
  validate: () => [],
};
