import { parse } from 'yaml';
import type { PlainValue } from '../../schema/value.js';
import { type AnalysisContext, type Analyzer, NETWORKING, type Report } from '../analyzer.js';
import type { AnalysisDocument } from '../document.js';
import { meshConfigOf, rootNamespace } from '../mesh.js';
import { at, field, labelsAt, list, map, text } from '../plain.js';
import { labelSelectorMatches, selects } from '../selectors.js';
import {
  containersOf,
  DATAPLANE_LABEL,
  INJECTION_LABEL,
  injectorConfigMap,
  injectorValues,
  isSystemNamespace,
  proxyImageOf,
  REVISION_LABEL,
} from '../workloads.js';

const INJECT = 'sidecar.istio.io/inject';

/** Istio: injection.Analyzer. */
export const injectionAnalyzer: Analyzer = {
  name: 'injection.Analyzer',
  summary: 'namespaces and pods without the proxy',
  codes: ['IST0102', 'IST0103', 'IST0123', 'IST0148'],
  analyze(context, report) {
    const injected = new Set<string>();
    for (const namespace of context.list('Namespace')) {
      if (namespace.name === 'istio-system' || isSystemNamespace(namespace.name)) continue;
      if (checkNamespace(namespace, context, report)) injected.add(namespace.name);
    }
    for (const pod of context.list('Pod')) {
      const inject = pod.labels[INJECT] ?? pod.annotations[INJECT] ?? '';
      const isOut = inject.toLowerCase() === 'false' || field(pod.spec, 'hostNetwork') === true;
      if (!injected.has(pod.namespace) || isOut || proxyImageOf(pod.spec) !== '') continue;
      report('IST0103', pod, 'its namespace is injected, but it has no proxy: restart it');
    }
  },
};

/** Checks the labels of a namespace; tells whether its pods get a proxy. */
function checkNamespace(namespace: AnalysisDocument, context: AnalysisContext, report: Report): boolean {
  const { labels } = namespace;
  const several = dataPlaneLabels(namespace);
  if (several.length > 1) {
    const message = `the labels ${several.join(', ')} are for different data planes: keep one`;
    report('IST0123', namespace, message, { path: ['metadata', 'labels'] });
  }
  if (labels[DATAPLANE_LABEL] === 'ambient') return false;
  const revision = labels[REVISION_LABEL];
  const legacy = labels[INJECTION_LABEL] ?? '';
  if (legacy !== '') return legacy === 'enabled';
  if (revision !== undefined) return true;
  if (isEnabledByDefault(context, revision)) {
    report('IST0148', namespace, 'its pods get a proxy, as the injector is for all namespaces by default');
  } else {
    const message = `its pods get no proxy: label it ${INJECTION_LABEL}=enabled, or =disabled if that is meant`;
    report('IST0102', namespace, message);
  }
  return false;
}

/** Labels that choose a data plane; next to one that turns injection off, the others do no harm. */
function dataPlaneLabels({ labels }: AnalysisDocument): readonly string[] {
  const legacy = labels[INJECTION_LABEL];
  const others = legacy === undefined || legacy === 'enabled' ? [REVISION_LABEL, DATAPLANE_LABEL] : [];
  return [INJECTION_LABEL, ...others].flatMap((name) =>
    labels[name] === undefined ? [] : [`${name}=${labels[name]}`],
  );
}

function isEnabledByDefault(context: AnalysisContext, revision: string | undefined): boolean {
  const name = injectorConfigMap(revision);
  const configMap = context.list('ConfigMap').find((one) => one.name === name);
  return at(injectorValues(configMap), 'sidecarInjectorWebhook', 'enableNamespacesByDefault') === true;
}

/** Istio: injection.ImageAnalyzer. */
export const imageAnalyzer: Analyzer = {
  name: 'injection.ImageAnalyzer',
  summary: 'pods with another proxy image than the injector gives',
  codes: ['IST0158'],
  analyze(context, report) {
    const images = new Map(
      context
        .list('ConfigMap')
        .filter(({ name }) => name.startsWith('istio-sidecar-injector'))
        .map((configMap) => [configMap.name, imageOf(injectorValues(configMap))] as const),
    );
    for (const namespace of context.list('Namespace')) {
      const revision = namespace.labels[REVISION_LABEL];
      if (namespace.labels[INJECTION_LABEL] !== 'enabled' && revision === undefined) continue;
      const image = images.get(injectorConfigMap(revision));
      if (image === undefined) continue;
      const pods = context
        .list('Pod')
        .filter((pod) => pod.namespace === namespace.name && hasOtherImage(pod, image, context));
      if (pods.length === 0) continue;
      const names = pods.map(({ name }) => name).join(', ');
      report(
        'IST0158',
        namespace,
        `the injector gives ${image}, but these pods have another proxy: ${names}; restart them`,
      );
    }
  },
};

function imageOf(values: PlainValue | undefined): string {
  const global = map(values, 'global');
  const image = text(global, 'proxy', 'image');
  return image.includes('/') ? image : `${text(global, 'hub')}/${image}:${text(global, 'tag')}`;
}

function hasOtherImage(pod: AnalysisDocument, image: string, context: AnalysisContext): boolean {
  if ((pod.annotations['sidecar.istio.io/proxyImage'] ?? '') !== '') return false;
  const variant = `${image}-${imageType(pod, context)}`;
  return containersOf(pod.spec, true).some((container) => {
    const own = text(container, 'image');
    return text(container, 'name') === 'istio-proxy' && own !== image && own !== variant;
  });
}

/** The variant of the image for a pod: of the mesh, its root namespace, the namespace, the workload, the pod itself. */
function imageType(pod: AnalysisDocument, context: AnalysisContext): string {
  const type = (value: PlainValue | undefined): string => text(value, 'image', 'imageType');
  const configs = context.list('ProxyConfig', NETWORKING);
  const [root, own] = [rootNamespace(context), pod.namespace];
  const forAll = (namespace: string) =>
    configs.filter((one) => one.namespace === namespace && map(one.spec, 'selector') === undefined);
  const forPod = configs.filter(({ namespace, spec }) => {
    const selector = map(spec, 'selector');
    return (
      namespace === own && selector !== undefined && selects(labelsAt(selector, 'matchLabels'), pod.labels)
    );
  });
  const chosen = [
    type(field(meshConfigOf(context), 'defaultConfig')),
    ...[...forAll(root), ...forAll(own), ...forPod].map(({ spec }) => type(spec)),
    type(yamlOf(pod.annotations['proxy.istio.io/config'])),
  ].findLast((one) => one !== '');
  return chosen === undefined || chosen === 'default' ? '' : chosen;
}

function yamlOf(source: string | undefined): PlainValue | undefined {
  try {
    // Core YAML gives plain values only.
    return source === undefined ? undefined : (parse(source, { maxAliasCount: 0 }) as PlainValue);
  } catch {
    return undefined;
  }
}

/** Istio: injection.ImageAutoAnalyzer. */
export const imageAutoAnalyzer: Analyzer = {
  name: 'injection.ImageAutoAnalyzer',
  summary: 'workloads that wait for an injected image',
  codes: ['IST0146', 'IST0147'],
  analyze(context, report) {
    const webhooks = context
      .list('MutatingWebhookConfiguration')
      .flatMap(({ value }) => list(value, 'webhooks'))
      .filter((webhook) => text(webhook, 'name').endsWith('istio.io'));
    for (const pod of context.list('Pod')) {
      if (!waitsForImage(pod.spec)) continue;
      report('IST0147', pod, 'the image of its proxy is "auto", which the injector did not replace');
    }
    for (const deployment of context.list('Deployment')) {
      const template = at(deployment.spec, 'template');
      if (!waitsForImage(field(template, 'spec'))) continue;
      const namespace = context.find('Namespace', '', deployment.namespace)?.labels ?? {};
      const labels = labelsAt(template, 'metadata', 'labels');
      const isInjected = webhooks.some(
        (webhook) =>
          labelSelectorMatches(map(webhook, 'namespaceSelector'), namespace) &&
          labelSelectorMatches(map(webhook, 'objectSelector'), labels),
      );
      if (isInjected) continue;
      report(
        'IST0146',
        deployment,
        'the image of its proxy is "auto", but no injection webhook selects its pods',
      );
    }
  },
};

function waitsForImage(podSpec: PlainValue | undefined): boolean {
  return containersOf(podSpec, false).some(
    (container) => text(container, 'name') === 'istio-proxy' && text(container, 'image') === 'auto',
  );
}
