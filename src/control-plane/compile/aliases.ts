import { derived } from '../kinds/derived.js';
import type { ConfigView } from '../kinds/view.js';
import type { MeshConfig } from '../mesh/mesh-config.js';
import { serviceHost } from '../mesh/names.js';
import { isExported } from '../mesh/visibility.js';
import type { Profile } from './profile.js';

/**
 * The further names of services: what a service of the type ExternalName calls by its own name (Istio). Where it names
 * no service of the mesh, its name is dialled as the application asked for it. By the full name of the target.
 */
export function aliasesOf(
  view: ConfigView,
  profile: Pick<Profile, 'namespace'>,
  config: Pick<MeshConfig, 'exportTo'>,
): ReadonlyMap<string, readonly string[]> {
  const aliases = new Map<string, string[]>();
  for (const { name, namespace, annotations, spec } of externalNames(view)) {
    if (spec.externalName === undefined) continue;
    const exportTo = annotations['networking.istio.io/exportTo']?.split(',').map((target) => target.trim());
    const exposure = { from: namespace, to: profile.namespace, byDefault: config.exportTo.services };
    if (!isExported(exportTo, exposure)) continue;
    const target = spec.externalName.toLowerCase().replace(/\.$/, '');
    aliases.set(target, [...(aliases.get(target) ?? []), serviceHost(name, namespace)]);
  }
  return aliases;
}

const externalNames = derived((view) =>
  view.list('Service').filter(({ spec }) => spec.type === 'ExternalName'),
);
