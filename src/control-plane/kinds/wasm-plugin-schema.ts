import { z } from 'zod';
import { int32, openMap, port } from './fields.js';
import { policyTargets } from './policy-target-schema.js';

/** Who is so called is in plain text; who is so given is read from the host. */
const environment = z.strictObject({
  name: z.string().min(1).max(256),
  value: z.string().max(2048).optional(),
  valueFrom: z.enum(['INLINE', 'HOST']).optional(),
});

/** Istio TrafficSelector. */
const trafficSelectors = z.array(
  z.strictObject({
    mode: z.enum(['UNDEFINED', 'CLIENT', 'SERVER', 'CLIENT_AND_SERVER']).optional(),
    ports: z.array(z.strictObject({ number: port })).optional(),
  }),
);

const wasmModule = {
  url: z.string().min(1),
  sha256: z.string().optional(),
  imagePullPolicy: z.enum(['UNSPECIFIED_POLICY', 'IfNotPresent', 'Always']).optional(),
  imagePullSecret: z.string().min(1).max(253).optional(),
  verificationKey: z.string().optional(),
  pluginConfig: openMap.optional(),
  pluginName: z.string().min(1).max(256).optional(),
  failStrategy: z.enum(['FAIL_CLOSE', 'FAIL_OPEN', 'FAIL_RELOAD']).optional(),
  vmConfig: z.strictObject({ env: z.array(environment).max(256).optional() }).optional(),
  type: z.enum(['UNSPECIFIED_PLUGIN_TYPE', 'HTTP', 'NETWORK']).optional(),
};

/** Istio WasmPlugin: every field. */
export const wasmPluginSchema = z.strictObject({
  ...policyTargets,
  ...wasmModule,
  phase: z.enum(['UNSPECIFIED_PHASE', 'AUTHN', 'AUTHZ', 'STATS']).optional(),
  priority: int32().optional(),
  match: trafficSelectors.optional(),
});

/** Istio TrafficExtension: every field. */
export const trafficExtensionSchema = z.strictObject({
  selector: policyTargets.selector,
  targetRefs: policyTargets.targetRefs,
  phase: z.enum(['UNSPECIFIED', 'AUTHN', 'AUTHZ', 'STATS']).optional(),
  priority: int32().optional(),
  match: trafficSelectors.optional(),
  wasm: z.strictObject(wasmModule).optional(),
  lua: z.strictObject({ inlineCode: z.string().min(1).max(65_536) }).optional(),
});
