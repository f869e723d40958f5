import { type ServiceReport, serviceReportFiles, type Violation } from '../control-plane.js';
import type { ObjectQuery, ShownObject } from './objects.js';
import { SOURCE } from './objects.js';
import { askStatus } from './status-api.js';

/** The services of the mesh, or of files; with what is wrong with these. */
export interface ServicesFound {
  readonly services: readonly ServiceReport[];
  readonly violations: readonly Violation[];
}

/** Asks for services, by their names and namespaces. */
export async function servicesIn(
  { file, controlPlane: address, tokenFile, caRoot }: ObjectQuery,
  wanted: { readonly namespace?: string | undefined; readonly name?: string | undefined },
): Promise<ServicesFound> {
  if (file !== undefined) {
    const result = await serviceReportFiles(file, wanted);
    return result.accepted
      ? { services: result.services, violations: [] }
      : { services: [], violations: result.violations };
  }
  const query = new URLSearchParams();
  if (wanted.namespace !== undefined) query.set('namespace', wanted.namespace);
  if (wanted.name !== undefined) query.set('name', wanted.name);
  // As openapi.json says.
  const { services } = (await askStatus({ address, tokenFile, caRoot }, `/api/services?${query}`)) as {
    readonly services: readonly ServiceReport[];
  };
  return { services, violations: [] };
}

/** A service that no document tells of, in the form of those that one does. */
export function shownService({ name, namespace, ports, endpoints }: ServiceReport): ShownObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace, labels: { app: name }, annotations: { [SOURCE]: 'registered' } },
    spec: {
      selector: { app: name },
      ports: ports.map(({ number: port, name: own, protocol }) => ({
        port,
        name: own,
        ...(protocol !== '' && { appProtocol: protocol }),
      })),
    },
    status: {
      endpoints: endpoints.map(({ address, port, version, speaksMtls }) => ({
        address,
        port,
        version,
        speaksMtls,
      })),
    },
  };
}
