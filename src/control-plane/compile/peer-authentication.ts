import { WeakMemo } from '../../runtime/weak-memo.js';
import type { ConfigView, Document } from '../kinds/view.js';
import type { MeshConfig } from '../mesh/mesh-config.js';
import { selects } from '../mesh/visibility.js';

/** What connections a workload's port accepts. */
export type MtlsMode = 'STRICT' | 'PERMISSIVE' | 'DISABLE';

/** Whether a port of that mode accepts mesh mTLS. */
export function takesTls(mode: MtlsMode): boolean {
  return mode !== 'DISABLE';
}

/** What a PeerAuthentication selects workloads by. */
export interface PeerWorkload {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Tells the mode of a workload's port. */
export type MtlsModes = (workload: PeerWorkload, port: number) => MtlsMode;

type PeerAuthentication = Document<'PeerAuthentication'>;

/** The PeerAuthentications that hold for one workload, and what they come to. */
export interface PeerAuthentications {
  /** Without a selector in the root namespace; the oldest. */
  readonly mesh: PeerAuthentication | undefined;
  /** Without a selector in the workload's namespace; the oldest. */
  readonly namespace: PeerAuthentication | undefined;
  /** With a selector for the workload; the oldest. */
  readonly workload: PeerAuthentication | undefined;
  /** The mode of every port that is not in `ports`. */
  readonly base: MtlsMode;
  /** The modes of ports that have one of their own, which may be the same. */
  readonly ports: ReadonlyMap<number, MtlsMode>;
}

/**
 * Finds what holds for a workload: the narrowest that says something decides, of several at one level the oldest, and
 * PERMISSIVE where nobody says anything (Istio).
 */
export function peerAuthentications(
  view: ConfigView,
  { rootNamespace }: MeshConfig,
): (workload: PeerWorkload) => PeerAuthentications {
  const documents = view.list('PeerAuthentication');
  const wide = documents.filter(isForAll);
  // Istio: one with a selector in the root namespace has no effect, not even there.
  const narrow = documents.filter((one) => !isForAll(one) && one.namespace !== rootNamespace);
  const mesh = wide.find(({ namespace }) => namespace === rootNamespace);
  return ({ namespace, labels }) => {
    const workload = narrow.find(
      (one) => one.namespace === namespace && selects(one.spec.selector?.matchLabels, labels),
    );
    const inNamespace =
      namespace === rootNamespace ? undefined : wide.find((one) => one.namespace === namespace);
    const base =
      said(workload?.spec.mtls?.mode) ??
      said(inNamespace?.spec.mtls?.mode) ??
      said(mesh?.spec.mtls?.mode) ??
      'PERMISSIVE';
    const portLevel = Object.entries(workload?.spec.portLevelMtls ?? {});
    const ports = new Map(portLevel.map(([port, { mode }]) => [Number(port), said(mode) ?? base]));
    return { mesh, namespace: inNamespace, workload, base, ports };
  };
}

/**
 * The modes of all workloads and ports; each workload's documents are looked for once. The same function as long as the
 * documents are.
 */
export function mtlsModes(view: ConfigView, config: MeshConfig): MtlsModes {
  const byRoot = modesOf.get([view.list('PeerAuthentication')], () => new Map());
  let modes = byRoot.get(config.rootNamespace);
  if (modes === undefined) {
    modes = findModes(view, config);
    byRoot.set(config.rootNamespace, modes);
  }
  return modes;
}

const modesOf = new WeakMemo<Map<string, MtlsModes>>();

function findModes(view: ConfigView, config: MeshConfig): MtlsModes {
  const find = peerAuthentications(view, config);
  const known = new WeakMap<object, PeerAuthentications>();
  return (workload, port) => {
    let found = known.get(workload);
    if (found === undefined) {
      found = find(workload);
      known.set(workload, found);
    }
    return found.ports.get(port) ?? found.base;
  };
}

function isForAll({ spec }: PeerAuthentication): boolean {
  return Object.keys(spec.selector?.matchLabels ?? {}).length === 0;
}

function said(mode: MtlsMode | 'UNSET' | undefined): MtlsMode | undefined {
  return mode === 'UNSET' ? undefined : mode;
}
