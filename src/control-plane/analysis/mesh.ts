import type { PlainObject } from '../schema/value.js';
import type { AnalysisContext } from './analyzer.js';
import { list, text } from './plain.js';

const NOTHING: PlainObject = Object.freeze(Object.create(null));

/** The MeshConfig in force: the last that is given. */
export function meshConfigOf(context: AnalysisContext): PlainObject {
  return context.list('MeshConfig').at(-1)?.spec ?? NOTHING;
}

/** The namespace of mesh-wide policies. */
export function rootNamespace(context: AnalysisContext): string {
  return text(meshConfigOf(context), 'rootNamespace') || 'istio-system';
}

/** The domain of the cluster. */
export function clusterDomain(context: AnalysisContext): string {
  const domain = text(meshConfigOf(context), 'clusterDomain');
  return domain === '' ? 'cluster.local' : domain;
}

/** The names of extension providers of one type. */
export function providersOf(context: AnalysisContext, type: string): ReadonlySet<string> {
  const providers = list(meshConfigOf(context), 'extensionProviders');
  return new Set(
    providers
      .filter((provider) => typeof provider === 'object' && provider !== null && type in provider)
      .map((provider) => text(provider, 'name')),
  );
}
