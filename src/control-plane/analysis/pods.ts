import type { AnalysisContext } from './analyzer.js';
import type { AnalysisDocument } from './document.js';
import { at, labelsAt, map } from './plain.js';
import type { Labels } from './selectors.js';

const TEMPLATES = ['Deployment', 'StatefulSet', 'DaemonSet'];

/** Pods, and those that the templates of Deployments and the like will make: files hold rarely any others. */
export function podsOf({ list }: Pick<AnalysisContext, 'list'>): readonly AnalysisDocument[] {
  return [...list('Pod'), ...TEMPLATES.flatMap((kind) => list(kind).map(templateOf))];
}

function templateOf(workload: AnalysisDocument): AnalysisDocument {
  const template = at(workload.spec, 'template');
  return {
    ...workload,
    labels: labelsAt(template, 'metadata', 'labels'),
    annotations: labelsAt(template, 'metadata', 'annotations'),
    spec: map(template, 'spec') ?? workload.spec,
  };
}

/** Whether the documents hold any workload: those that hold none are a part of a whole, and say nothing about them. */
export function hasWorkloads(context: AnalysisContext): boolean {
  return (
    context.pods.some(({ isDefault }) => !isDefault) ||
    context.list('WorkloadEntry').length > 0 ||
    context.workloads.length > 0
  );
}

/** Makes a test whether any of the workloads fits a selector; each test looks at those with its rarest label only. */
export function selectionTest(workloads: readonly Labels[]): (selector: Labels) => boolean {
  const byLabel = new Map<string, Labels[]>();
  for (const labels of workloads) {
    for (const [key, value] of Object.entries(labels)) {
      const pair = `${key}=${value}`;
      const found = byLabel.get(pair);
      if (found === undefined) byLabel.set(pair, [labels]);
      else found.push(labels);
    }
  }
  return (selector) => {
    const wanted = Object.entries(selector);
    let rarest = workloads;
    for (const [key, value] of wanted) {
      const found = byLabel.get(`${key}=${value}`) ?? [];
      if (found.length < rarest.length) rarest = found;
    }
    return rarest.some((labels) => wanted.every(([key, value]) => labels[key] === value));
  };
}
