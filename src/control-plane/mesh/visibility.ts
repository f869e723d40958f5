import { MESH_GATEWAY } from '../kinds/common-rules.js';

/**
 * Whether documents of a namespace with this `exportTo` are seen by clients of another one. Without one the default of the
 * mesh holds, which is everywhere unless it says something else.
 */
export function isExported(
  exportTo: readonly string[] | undefined,
  { from, to: clientNamespace, byDefault }: Exposure,
): boolean {
  const targets = exportTo === undefined || exportTo.length === 0 ? byDefault : exportTo;
  if (targets === undefined || targets.length === 0) return true;
  return targets.some(
    (target) => target === '*' || target === clientNamespace || (target === '.' && from === clientNamespace),
  );
}

/** From which namespace to which. */
export interface Exposure {
  readonly from: string;
  readonly to: string;
  /** The default of the mesh. */
  readonly byDefault: readonly string[] | undefined;
}

/** Whether labels hold everything that a selector names. */
export function selects(
  selector: Readonly<Record<string, string>> | undefined,
  labels: Readonly<Record<string, string>>,
): boolean {
  return Object.entries(selector ?? {}).every(([key, value]) => labels[key] === value);
}

/** The full name of a gateway that a document of the namespace names: `namespace/name`, or `mesh`. */
export function fullGatewayName(name: string, namespace: string): string {
  return name === MESH_GATEWAY || name.includes('/') ? name : `${namespace}/${name}`;
}

/** Whether a match holds for calls that come by a gateway: it names that one, or none at all. */
export function isForGateway(
  { gateways = [] }: { readonly gateways?: readonly string[] | undefined },
  namespace: string,
  gateway = MESH_GATEWAY,
): boolean {
  return gateways.length === 0 || gateways.some((name) => fullGatewayName(name, namespace) === gateway);
}
