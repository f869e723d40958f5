import type { PlainObject } from '../../schema/value.js';
import type { AnalysisContext, Analyzer, Report } from '../analyzer.js';
import type { AnalysisDocument } from '../document.js';
import { labelsAt, list, map, text, texts } from '../plain.js';
import { type Labels, labelSelectorMatches } from '../selectors.js';
import { INJECTION_LABEL, REVISION_LABEL } from '../workloads.js';

interface Webhook {
  readonly document: AnalysisDocument;
  readonly index: number;
  readonly name: string;
  readonly namespaces: PlainObject | undefined;
  readonly objects: PlainObject | undefined;
  readonly service: PlainObject | undefined;
}

/** Istio: webhook.Analyzer. */
export const webhookAnalyzer: Analyzer = {
  name: 'webhook.Analyzer',
  summary: 'injection webhooks that overlap, or call nobody',
  codes: ['IST0139'],
  analyze(context, report) {
    const { webhooks, revisions } = injectionWebhooks(context);
    reportOverlaps(webhooks, revisions, report);
    for (const { document, index, service } of webhooks) {
      if (service === undefined) continue;
      const [namespace, name] = [text(service, 'namespace'), text(service, 'name')];
      if (context.find('Service', namespace, name, '') !== undefined) continue;
      report('IST0139', document, `the webhook calls the service ${namespace}/${name}, which is not there`, {
        path: ['webhooks', index, 'clientConfig', 'service'],
      });
    }
  },
};

function injectionWebhooks(context: AnalysisContext) {
  const webhooks: Webhook[] = [];
  const revisions = new Set<string>();
  for (const document of context.list('MutatingWebhookConfiguration')) {
    const own = list(document.value, 'webhooks').map((hook, index) => ({
      document,
      index,
      name: text(hook, 'name'),
      namespaces: map(hook, 'namespaceSelector'),
      objects: map(hook, 'objectSelector'),
      service: map(hook, 'clientConfig', 'service'),
    }));
    const found = new Set(
      own.flatMap(({ namespaces, objects }) => [namespaces, objects].flatMap(revisionsIn)),
    );
    const label = document.labels[REVISION_LABEL];
    if (label !== undefined) found.add(label);
    if (found.size === 0 && !own.some(({ name }) => name.endsWith('istio.io'))) continue;
    webhooks.push(...own);
    for (const revision of found) revisions.add(revision);
  }
  return { webhooks, revisions };
}

function revisionsIn(selector: PlainObject | undefined): readonly string[] {
  const label = labelsAt(selector, 'matchLabels')[REVISION_LABEL];
  const values = list(selector, 'matchExpressions')
    .filter((expression) => text(expression, 'key') === REVISION_LABEL)
    .flatMap((expression) => texts(expression, 'values'));
  return label === undefined ? values : [label, ...values];
}

/** Whatever labels a namespace and a pod may have for injection, at most one webhook may take them. */
function reportOverlaps(webhooks: readonly Webhook[], revisions: ReadonlySet<string>, report: Report): void {
  const reported = new Set<string>();
  for (const namespace of combinations(INJECTION_LABEL, ['enabled', 'disabled'], revisions)) {
    for (const object of combinations('sidecar.istio.io/inject', ['true', 'false'], revisions)) {
      const taking = webhooks.filter(
        ({ namespaces, objects }) =>
          labelSelectorMatches(namespaces, namespace) && labelSelectorMatches(objects, object),
      );
      if (taking.length < 2) continue;
      for (const webhook of taking) {
        const others = taking.filter((other) => other !== webhook).map(nameOf);
        const key = `${nameOf(webhook)} ${others.join(' ')}`;
        if (reported.has(key)) continue;
        reported.add(key);
        report(
          'IST0139',
          webhook.document,
          `the webhook takes the same pods as ${others.join(', ')}: they would be injected twice`,
          {
            path: ['webhooks', webhook.index],
          },
        );
      }
    }
  }
}

const nameOf = ({ document, name }: Webhook): string => `${document.name}/${name}`;

function combinations(
  label: string,
  values: readonly string[],
  revisions: ReadonlySet<string>,
): readonly Labels[] {
  const bare: readonly Labels[] = [{}, ...values.map((value) => ({ [label]: value }))];
  const revised = [...revisions].flatMap((revision) =>
    bare.map((one) => ({ ...one, [REVISION_LABEL]: revision })),
  );
  return [...bare, ...revised];
}
