import type { Kind } from './kind.js';
import { checkPolicyTargets } from './policy-target.js';
import { createReport, entriesOf, type Report } from './report.js';
import type { TrafficExtensionSpec, WasmPluginSpec } from './types.js';
import type { Document, FieldPath } from './view.js';
import { trafficExtensionSchema, wasmPluginSchema } from './wasm-plugin-schema.js';

/** Istio WasmPlugin: a module of WebAssembly in the way of requests. */
export const wasmPluginKind: Kind<'WasmPlugin'> = {
  name: 'WasmPlugin',
  apiVersions: ['extensions.istio.io/v1alpha1'],
  schema: wasmPluginSchema,
  validate: validatePlugin,
};

/** Istio TrafficExtension: the same, or a script of Lua. */
export const trafficExtensionKind: Kind<'TrafficExtension'> = {
  name: 'TrafficExtension',
  apiVersions: ['extensions.istio.io/v1alpha1'],
  schema: trafficExtensionSchema,
  validate: validateExtension,
};

/** Istio: ValidateWasmPlugin. */
function validatePlugin({ spec }: Document<'WasmPlugin'>) {
  const report = createReport();
  checkPolicyTargets(spec, report);
  checkModule(spec, ['spec'], report);
  return report.violations;
}

function validateExtension({ spec }: Document<'TrafficExtension'>) {
  const report = createReport();
  checkPolicyTargets(spec, report);
  const { wasm, lua } = spec;
  if (wasm === undefined && lua === undefined)
    report.invalid(['spec'], 'a TrafficExtension needs wasm or lua');
  if (wasm !== undefined && lua !== undefined) report.invalid(['spec', 'lua'], 'give either wasm or lua');
  if (wasm !== undefined) checkModule(wasm, ['spec', 'wasm'], report);
  return report.violations;
}

type WasmModule =
  | Pick<WasmPluginSpec, 'url' | 'sha256' | 'vmConfig'>
  | NonNullable<TrafficExtensionSpec['wasm']>;

const SCHEMES: ReadonlySet<string> = new Set(['file', 'http', 'https', 'oci']);

function checkModule({ url, sha256 = '', vmConfig }: WasmModule, path: FieldPath, report: Report): void {
  // Without a scheme it is the name of an image: `registry:5000/image:tag` has colons, too.
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(url)?.[1]?.toLowerCase();
  if (scheme !== undefined && !SCHEMES.has(scheme)) {
    const known = [...SCHEMES].join(', ');
    report.invalid([...path, 'url'], `the scheme of ${JSON.stringify(url)} must be one of ${known}`);
  } else if (!canParse(scheme === undefined ? `http://${url}` : url)) {
    report.invalid([...path, 'url'], `${JSON.stringify(url)} is not a URL`);
  }
  if (sha256 !== '' && !/^[a-f0-9]{64}$/.test(sha256)) {
    report.invalid([...path, 'sha256'], 'sha256 must be 64 digits of 0-9 and a-f');
  }
  const names = new Set<string>();
  for (const [{ name, value = '', valueFrom = 'INLINE' }, at] of entriesOf(vmConfig?.env, [
    ...path,
    'vmConfig',
    'env',
  ])) {
    if (names.has(name)) report.invalid([...at, 'name'], `the variable ${name} is already given`);
    names.add(name);
    if (valueFrom !== 'INLINE' && value !== '') {
      report.invalid([...at, 'value'], 'a value is for valueFrom INLINE only');
    }
  }
}

function canParse(url: string): boolean {
  // A space or a bad escape is no part of a URL, though WHATWG's parser forgives it.
  return (
    URL.canParse(url.replace(/^(?:oci|file):\/\//i, 'http://localhost/')) &&
    !/\s|%(?![0-9A-Fa-f]{2})/.test(url)
  );
}
