import { MeshError } from '../runtime/errors.js';
import { document, type MeshDocument, metadataOf, type NameOrMetadata, withHandle } from './document.js';
import type {
  GatewaySpec,
  HTTPRouteSpecRulesBackendRefs,
  ServiceEntrySpec,
  ServiceEntrySpecPorts,
  ServiceSpec,
  ServiceSpecPorts,
  VirtualServiceSpecHttpRouteDestination,
} from './gen/fields.js';

/** Where a route leads: a host, a subset of it where it has some, a port where it has several. */
export interface Destination<Host extends string = string, Subset extends string | undefined = undefined>
  extends VirtualServiceSpecHttpRouteDestination {
  readonly host: Host;
  readonly subset?: Subset;
}

/** A Service whose ports the compiler knows. */
export interface ServiceHandle<Port extends string> {
  /** The name that routes call it by: with its namespace where it names one, else the short one. */
  readonly host: string;
  /** The destination of a route to it; the port by its name. */
  to(port?: Port): Destination;
  /** What `backendRefs` of the Gateway API's routes want. */
  backend(port: Port, weight?: number): HTTPRouteSpecRulesBackendRefs;
}

/** A Kubernetes Service: the name, ports and selector of a service. */
export function service<const Port extends string = string>(
  name: NameOrMetadata,
  spec: ServiceSpec & { readonly ports?: readonly (ServiceSpecPorts & { readonly name?: Port })[] },
): MeshDocument<'Service'> & ServiceHandle<Port> {
  const { name: own, namespace } = metadataOf(name);
  const host = hostOf(own, namespace);
  const made = document('Service', name, spec);
  const portOf = (port: Port): number => numberOf(spec.ports, port, (one) => one.port, `Service ${own}`);
  return withHandle(made, {
    host,
    to: (port?: Port): Destination =>
      port === undefined
        ? Object.freeze({ host })
        : Object.freeze({ host, port: Object.freeze({ number: portOf(port) }) }),
    backend: (port: Port, weight?: number): HTTPRouteSpecRulesBackendRefs =>
      Object.freeze({
        name: own,
        ...(namespace !== undefined && { namespace }),
        port: portOf(port),
        ...(weight !== undefined && { weight }),
      }),
  });
}

/** `reviews` of `shop` as `reviews.shop.svc.cluster.local`; without a namespace it is looked up beside the rule. */
export function hostOf(name: string, namespace: string | undefined): string {
  return namespace === undefined ? name : `${name}.${namespace}.svc.cluster.local`;
}

/** A ServiceEntry whose hosts and ports the compiler knows. */
export interface ServiceEntryHandle<Host extends string, Port extends string> {
  /** The destination of a route to one of its hosts; the port by its name. */
  to<H extends Host>(host: H, port?: Port): Destination<H>;
}

/** A ServiceEntry: hosts outside the mesh, or that nothing else registers. */
export function serviceEntry<const Host extends string, const Port extends string = string>(
  name: NameOrMetadata,
  spec: ServiceEntrySpec & {
    readonly hosts?: readonly Host[];
    readonly ports?: readonly (ServiceEntrySpecPorts & { readonly name?: Port })[];
  },
): MeshDocument<'ServiceEntry'> & ServiceEntryHandle<Host, Port> {
  const owner = `ServiceEntry ${metadataOf(name).name}`;
  return withHandle(document('ServiceEntry', name, spec), {
    to: <H extends Host>(host: H, port?: Port): Destination<H> => {
      if (!(spec.hosts ?? []).includes(host)) throw unknown('host', host, owner);
      if (port === undefined) return Object.freeze({ host });
      const number = numberOf(spec.ports, port, (one) => one.number, owner);
      return Object.freeze({ host, port: Object.freeze({ number }) });
    },
  });
}

/** A Gateway that VirtualServices name. */
export interface GatewayHandle {
  /** What `gateways` of a VirtualService calls it: with its namespace where it names one. */
  readonly ref: string;
}

/** A Gateway of Istio's: what a gateway listens on, and for which hosts. That of the Gateway API is `gatewayApiGateway`. */
export function gateway(name: NameOrMetadata, spec: GatewaySpec): MeshDocument<'Gateway'> & GatewayHandle {
  const { name: own, namespace } = metadataOf(name);
  return withHandle(document('Gateway', name, spec), {
    ref: namespace === undefined ? own : `${namespace}/${own}`,
  });
}

function numberOf<P extends { readonly name?: string | undefined }>(
  ports: readonly P[] | undefined,
  name: string,
  number: (port: P) => number | undefined,
  owner: string,
): number {
  const found = ports?.find((one) => one.name === name);
  const value = found === undefined ? undefined : number(found);
  if (value === undefined) throw unknown('port', name, owner);
  return value;
}

/** The compiler says so first; this is for plain JavaScript. */
export function unknown(what: string, name: string, owner: string): MeshError {
  return new MeshError('INMESH_CONFIG_REFERENCE', `there is no ${what} ${JSON.stringify(name)}`, {
    resource: owner,
  });
}
