import type { PlainObject } from '../schema/value.js';
import { type AnalysisDocument, defaultDocument } from './document.js';

const INGRESS = { istio: 'ingressgateway' };
const PORTS = [80, 443, 31_400, 15_443];

/** What every mesh of Istio has, whether or not it is among the documents: its ingress gateway (Istio: default resources). */
export function defaultDocuments(istioNamespace: string): readonly AnalysisDocument[] {
  const metadata = (name: string): PlainObject => ({ name, namespace: istioNamespace });
  const values: readonly PlainObject[] = [
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { ...metadata('istio-ingressgateway'), labels: INGRESS },
      spec: { containers: [{ name: 'istio-proxy' }] },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: metadata('istio-ingressgateway'),
      spec: {
        selector: INGRESS,
        ports: PORTS.map((port) => ({ name: `tcp-${port}`, port, protocol: 'TCP', targetPort: port })),
      },
    },
  ];
  return values.flatMap((value) => defaultDocument(value) ?? []);
}
