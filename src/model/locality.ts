import { type Locality, NO_LOCALITY } from './endpoint.js';

/** The locality of a text `region/zone/subzone`, of which the end may be missing. */
export function parseLocality(text: string): Locality {
  const [region = '', zone = '', subZone = ''] = text.split('/');
  return { region, zone, subZone };
}

/** Labels that name a whole locality; where a label can have no `/`, dots stand for it (Istio: GetLocalityLabel). */
const WHOLE = ['topology.istio.io/locality', 'istio-locality'];
const REGION = ['topology.kubernetes.io/region', 'failure-domain.beta.kubernetes.io/region'];
const ZONE = ['topology.kubernetes.io/zone', 'failure-domain.beta.kubernetes.io/zone'];
const SUB_ZONE = ['topology.istio.io/subzone'];

/** The locality that labels of a workload tell, by Istio's and Kubernetes' names; the empty one when they tell none. */
export function localityOfLabels(labels: Readonly<Record<string, string>>): Locality {
  const whole = firstOf(labels, WHOLE);
  if (whole !== '') return parseLocality(whole.includes('/') ? whole : whole.replaceAll('.', '/'));
  const region = firstOf(labels, REGION);
  if (region === '') return NO_LOCALITY;
  return { region, zone: firstOf(labels, ZONE), subZone: firstOf(labels, SUB_ZONE) };
}

function firstOf(labels: Readonly<Record<string, string>>, names: readonly string[]): string {
  for (const name of names) if (Object.hasOwn(labels, name) && labels[name]) return labels[name];
  return '';
}

/** Whether nobody said where something is (Istio: what has no region has no locality). */
export function isNowhere({ region }: Locality): boolean {
  return region === '';
}
