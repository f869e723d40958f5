import type { ServiceReport } from '../control-plane.js';
import { counted } from '../runtime/counted.js';

/** What the mesh makes of a service, one fact per line. */
export function serviceText(service: ServiceReport): readonly string[] {
  const { host, ports, endpoints, subsets, routes, leadTo, destinationRules, policies, warnings } = service;
  const line = (title: string, text: string) => `  ${title.padEnd(10)} ${text}`;
  return [
    line('host', host),
    ...ports.map(({ number, name, protocol }) => line('port', `${number} ${name} ${protocol}`.trimEnd())),
    ...endpoints.map((one) => line('endpoint', endpointText(one))),
    ...(endpoints.length === 0 ? [line('endpoint', 'none')] : []),
    ...subsets.map(({ name, labels, endpoints: count }) => {
      const text = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
      return line('subset', `${name} (${text.join(',')}): ${counted(count, 'endpoint')}`);
    }),
    ...routes.map((one) => line('routed by', one)),
    ...leadTo.filter((one) => !routes.includes(one)).map((one) => line('led to by', one)),
    ...destinationRules.map((one) => line('rule', one)),
    ...policies.map((one) => line('policy', one)),
    ...warnings.map((one) => line('warning', one)),
  ];
}

function endpointText({
  address,
  port,
  version,
  locality,
  weight,
  speaksMtls,
  mtls,
  subsets,
}: ServiceReport['endpoints'][number]): string {
  const where = `${address.includes(':') ? `[${address}]` : address}:${port}`;
  const tls = `mTLS ${mtls}, ${speaksMtls ? 'speaks it' : 'plaintext only'}`;
  const rest = [locality, weight === 1 ? '' : `weight ${weight}`, tls, `subsets ${subsets.join(',') || '-'}`];
  return `${where} ${version === '' ? '-' : version}  ${rest.filter((text) => text !== '').join(', ')}`;
}
