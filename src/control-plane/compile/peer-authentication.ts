import type { ConfigView, Document } from '../store/view.js';
import type { MeshConfig } from './mesh-config.js';
import { selects } from './visibility.js';

/** What connections a workload's port accepts. */
export type MtlsMode = 'STRICT' | 'PERMISSIVE' | 'DISABLE';

/** Tells the mode of a workload's port. */
export type MtlsModes = (
  workload: { readonly namespace: string; readonly labels: Readonly<Record<string, string>> },
  port: number,
) => MtlsMode;

/**
 * Merges the PeerAuthentications of mesh, namespace, workload and port: the narrowest that says something decides,
 * of several at one level the oldest, and PERMISSIVE where nobody says anything (Istio).
 */
export function mtlsModes(view: ConfigView, { rootNamespace }: MeshConfig): MtlsModes {
  const documents = view.list('PeerAuthentication');
  const isForAll = ({ spec }: Document<'PeerAuthentication'>) =>
    Object.keys(spec.selector?.matchLabels ?? {}).length === 0;
  const wide = documents.filter(isForAll);
  const narrow = documents.filter((document) => !isForAll(document));
  const mesh = wide.find(({ namespace }) => namespace === rootNamespace);
  return (workload, port) => {
    // A selector in the root namespace selects there only, like in any other.
    const own = narrow.find(
      ({ namespace, spec }) =>
        namespace === workload.namespace && selects(spec.selector?.matchLabels, workload.labels),
    );
    const inNamespace = wide.find(({ namespace }) => namespace === workload.namespace);
    return (
      said(own?.spec.portLevelMtls?.[String(port)]?.mode) ??
      said(own?.spec.mtls?.mode) ??
      said(inNamespace?.spec.mtls?.mode) ??
      said(mesh?.spec.mtls?.mode) ??
      'PERMISSIVE'
    );
  };
}

function said(mode: MtlsMode | 'UNSET' | undefined): MtlsMode | undefined {
  return mode === 'UNSET' ? undefined : mode;
}
