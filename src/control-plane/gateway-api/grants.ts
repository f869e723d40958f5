import type { ConfigView, Document } from '../kinds/view.js';

/** Where a reference comes from. */
export interface ReferenceOrigin {
  readonly group: string;
  readonly kind: string;
  readonly namespace: string;
}

/** What a reference means. */
export interface ReferenceTarget extends ReferenceOrigin {
  readonly name: string;
}

/** Whether a reference is allowed: within a namespace it is, into another one a ReferenceGrant there must allow it. */
export type Grants = (from: ReferenceOrigin, to: ReferenceTarget) => boolean;

/** For routes of clients in the mesh, who may call any service themselves (Istio). */
export const NO_GRANT_NEEDED: Grants = () => true;

/** Indexes the ReferenceGrants of a view. */
export function indexGrants(view: ConfigView): Grants {
  const byNamespace = new Map<string, Document<'ReferenceGrant'>[]>();
  for (const document of view.list('ReferenceGrant')) {
    byNamespace.set(document.namespace, [...(byNamespace.get(document.namespace) ?? []), document]);
  }
  return (from, to) =>
    from.namespace === to.namespace ||
    (byNamespace.get(to.namespace) ?? []).some(({ spec }) => allows(spec, from, to));
}

function allows(
  spec: Document<'ReferenceGrant'>['spec'],
  from: ReferenceOrigin,
  to: ReferenceTarget,
): boolean {
  return (
    spec.from.some(
      (one) => one.group === from.group && one.kind === from.kind && one.namespace === from.namespace,
    ) &&
    spec.to.some(
      (one) =>
        one.group === to.group && one.kind === to.kind && (one.name === undefined || one.name === to.name),
    )
  );
}
