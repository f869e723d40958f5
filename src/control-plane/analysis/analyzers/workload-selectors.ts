import { groupBy } from '../../../runtime/group-by.js';
import {
  type AnalysisContext,
  type Analyzer,
  NETWORKING,
  type RegisteredWorkload,
  type Report,
} from '../analyzer.js';
import type { FindingCode } from '../codes.js';
import type { AnalysisDocument } from '../document.js';
import { meshConfigOf, providersOf } from '../mesh.js';
import { labelsAt, list, map, text } from '../plain.js';
import { type Labels, selectorText, selects } from '../selectors.js';
import { isNamespaceInAmbient, isPodInAmbient } from '../workloads.js';

interface Selecting {
  readonly document: AnalysisDocument;
  readonly selector: Labels;
}

/** Which pods of its namespace each document selects; who selects none is reported. */
function podsSelected(
  documents: readonly Selecting[],
  path: readonly string[],
  context: AnalysisContext,
  report: Report,
): ReadonlyMap<AnalysisDocument, readonly AnalysisDocument[]> {
  const byPod = new Map<AnalysisDocument, AnalysisDocument[]>();
  for (const { document, selector } of documents) {
    const isSelected = ({ namespace, labels }: RegisteredWorkload) =>
      namespace === document.namespace && selects(selector, labels);
    const pods = context.pods.filter(isSelected);
    for (const pod of pods) byPod.set(pod, [...(byPod.get(pod) ?? []), document]);
    if (pods.length > 0 || context.workloads.some(isSelected)) continue;
    const message = `the selector ${selectorText(selector)} selects no pod of the namespace ${document.namespace}`;
    report('IST0101', document, message, { path });
  }
  return byPod;
}

const namesOf = (documents: readonly AnalysisDocument[]): string =>
  documents
    .map(({ name }) => name)
    .sort()
    .join(', ');

/** Reports documents of which only one may be in a namespace. */
function reportSeveral(documents: readonly AnalysisDocument[], code: FindingCode, report: Report): void {
  const byNamespace = groupBy(documents, ({ namespace }) => namespace);
  for (const [namespace, several] of byNamespace) {
    if (several.length < 2) continue;
    for (const document of several) {
      const message = `the namespace ${namespace} has ${several.length} of this kind without selector (${namesOf(several)}): only one takes effect`;
      report(code, document, message);
    }
  }
}

/** Istio: sidecar.SelectorAnalyzer. */
export const sidecarSelectorAnalyzer: Analyzer = {
  name: 'sidecar.SelectorAnalyzer',
  summary: 'Sidecars that select nothing, or the same',
  codes: ['IST0101', 'IST0110', 'IST0111', 'IST0167'],
  analyze(context, report) {
    const sidecars = context.list('Sidecar', NETWORKING).map((document) => ({
      document,
      selector: labelsAt(document.spec, 'workloadSelector', 'labels'),
    }));
    const isForAll = ({ selector }: Selecting) => Object.keys(selector).length === 0;
    reportSelecting(
      sidecars.filter((one) => !isForAll(one)),
      context,
      report,
    );
    const forAll = sidecars.filter(isForAll).map(({ document }) => document);
    const isAmbient = ({ namespace }: AnalysisDocument) =>
      isNamespaceInAmbient(context.find('Namespace', '', namespace));
    for (const document of forAll.filter(isAmbient)) {
      report('IST0167', document, 'its namespace has no sidecars (ambient mode)');
    }
    reportSeveral(
      forAll.filter((one) => !isAmbient(one)),
      'IST0111',
      report,
    );
  },
};

function reportSelecting(sidecars: readonly Selecting[], context: AnalysisContext, report: Report): void {
  const path = ['spec', 'workloadSelector'];
  const ineffective = new Set<AnalysisDocument>();
  for (const [pod, several] of podsSelected(sidecars, path, context, report)) {
    for (const document of several) {
      if (!isPodInAmbient(pod)) {
        if (several.length < 2) continue;
        const message = `the Sidecars ${namesOf(several)} select the pod ${pod.namespace}/${pod.name}: only one takes effect`;
        report('IST0110', document, message);
      } else if (!ineffective.has(document)) {
        ineffective.add(document);
        report('IST0167', document, 'it selects workloads without a sidecar (ambient mode)', { path });
      }
    }
  }
}

/** Istio: telemetry.SelectorAnalyzer. */
export const telemetrySelectorAnalyzer: Analyzer = {
  name: 'telemetry.SelectorAnalyzer',
  summary: 'Telemetries that select nothing, or the same',
  codes: ['IST0101', 'IST0159'],
  analyze(context, report) {
    const selecting = context
      .list('Telemetry')
      .map((document) => ({ document, selector: labelsAt(document.spec, 'selector', 'matchLabels') }))
      .filter(({ selector }) => Object.keys(selector).length > 0);
    const reported = new Set<AnalysisDocument>();
    for (const [pod, several] of podsSelected(selecting, ['spec', 'selector'], context, report)) {
      if (several.length < 2) continue;
      for (const document of several) {
        if (reported.has(document)) continue;
        reported.add(document);
        const message = `the Telemetries ${namesOf(several)} select the pod ${pod.namespace}/${pod.name}: only one takes effect`;
        report('IST0159', document, message);
      }
    }
  },
};

/** Istio: telemetry.DefaultSelectorAnalyzer. */
export const telemetryDefaultAnalyzer: Analyzer = {
  name: 'telemetry.DefaultSelectorAnalyzer',
  summary: 'several Telemetries for a whole namespace',
  codes: ['IST0160'],
  analyze(context, report) {
    const forAll = context
      .list('Telemetry')
      .filter(
        ({ spec }) =>
          map(spec, 'selector') === undefined &&
          map(spec, 'targetRef') === undefined &&
          list(spec, 'targetRefs').length === 0,
      );
    reportSeveral(forAll, 'IST0160', report);
  },
};

/** Istio: telemetry.ProviderAnalyzer. */
export const telemetryProviderAnalyzer: Analyzer = {
  name: 'telemetry.ProviderAnalyzer',
  summary: 'access logs without a provider',
  codes: ['IST0157'],
  analyze(context, report) {
    if (list(meshConfigOf(context), 'defaultProviders', 'accessLogging').length > 0) return;
    for (const document of context.list('Telemetry')) {
      for (const [index, log] of list(document.spec, 'accessLogging').entries()) {
        // Turning logs off needs no provider.
        if (list(log, 'providers').length > 0 || map({ log }, 'log')?.['disabled'] === true) continue;
        report('IST0157', document, 'it names no provider and the mesh has no default one: it is ignored', {
          path: ['spec', 'accessLogging', index],
        });
      }
    }
  },
};

/** Istio: telemetry.LightstepAnalyzer. */
export const telemetryLightstepAnalyzer: Analyzer = {
  name: 'telemetry.LightstepAnalyzer',
  summary: 'tracing by a provider that is going away',
  codes: ['IST0002'],
  analyze(context, report) {
    const names = providersOf(context, 'lightstep');
    if (names.size === 0) return;
    for (const document of context.list('Telemetry')) {
      for (const [i, tracing] of list(document.spec, 'tracing').entries()) {
        for (const [j, provider] of list(tracing, 'providers').entries()) {
          if (!names.has(text(provider, 'name'))) continue;
          report(
            'IST0002',
            document,
            `the provider ${text(provider, 'name')} is Lightstep's: use opentelemetry`,
            {
              path: ['spec', 'tracing', i, 'providers', j, 'name'],
            },
          );
        }
      }
    }
  },
};
