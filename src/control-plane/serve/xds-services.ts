import type {
  handleBidiStreamingCall,
  handleUnaryCall,
  ServerDuplexStream,
  ServiceDefinition,
} from '@grpc/grpc-js';
import type { IncomingCall } from './caller.js';
import type { Outgoing } from './channel.js';
import { type ServedType, servedType } from './resources.js';
import type { ProtocolName } from './wire.js';

export type Stream = ServerDuplexStream<Buffer, Buffer>;
/** A stream whose responses are written in pieces. */
export type PiecewiseStream = ServerDuplexStream<Buffer, Outgoing>;

/** A gRPC service with what carries it out. */
export interface GrpcService {
  readonly definition: ServiceDefinition;
  readonly implementation: Readonly<
    Record<
      string,
      | handleBidiStreamingCall<Buffer, Buffer>
      | handleBidiStreamingCall<Buffer, Outgoing>
      | handleUnaryCall<Buffer, Buffer>
    >
  >;
}

/** What carries streams and single questions out. */
export interface XdsHandlers {
  /** `only` is set on a service for one type. */
  readonly stream: (call: PiecewiseStream, protocol: ProtocolName, only: ServedType | undefined) => void;
  readonly fetch: (call: IncomingCall & { readonly request: Buffer }, only: ServedType) => Buffer;
  /** The gRPC status of an error. */
  readonly failure: (error: unknown) => { readonly code: number; readonly details: string };
}

const identity = (bytes: Buffer) => bytes;

/** Bytes pass through gRPC as they are: each resource is encoded once, and requests are decoded when they are read. */
export function bytesMethod(service: string, method: string, isStream: boolean): ServiceDefinition[string] {
  return {
    path: `/${service}/${method}`,
    requestStream: isStream,
    responseStream: isStream,
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: identity,
    responseDeserialize: identity,
  };
}

/** The method of a stream whose responses are written in pieces. */
function discoveryMethod(service: string, method: string): ServiceDefinition[string] {
  return {
    ...bytesMethod(service, method, true),
    responseSerialize: (pieces: Outgoing) => Buffer.concat(pieces),
  };
}

/** The services for one type: service, what its methods are about, type. */
const SERVICES = [
  ['envoy.service.listener.v3.ListenerDiscoveryService', 'Listeners', 'envoy.config.listener.v3.Listener'],
  ['envoy.service.route.v3.RouteDiscoveryService', 'Routes', 'envoy.config.route.v3.RouteConfiguration'],
  ['envoy.service.cluster.v3.ClusterDiscoveryService', 'Clusters', 'envoy.config.cluster.v3.Cluster'],
  [
    'envoy.service.endpoint.v3.EndpointDiscoveryService',
    'Endpoints',
    'envoy.config.endpoint.v3.ClusterLoadAssignment',
  ],
  [
    'envoy.service.secret.v3.SecretDiscoveryService',
    'Secrets',
    'envoy.extensions.transport_sockets.tls.v3.Secret',
  ],
  ['envoy.service.runtime.v3.RuntimeDiscoveryService', 'Runtime', 'envoy.service.runtime.v3.Runtime'],
] as const;

/** ADS and the services for one type each, in both protocols. */
export function xdsServices(handlers: XdsHandlers): readonly GrpcService[] {
  const ads = 'envoy.service.discovery.v3.AggregatedDiscoveryService';
  return [
    {
      definition: {
        StreamAggregatedResources: discoveryMethod(ads, 'StreamAggregatedResources'),
        DeltaAggregatedResources: discoveryMethod(ads, 'DeltaAggregatedResources'),
      },
      implementation: {
        StreamAggregatedResources: (call: PiecewiseStream) => handlers.stream(call, 'sotw', undefined),
        DeltaAggregatedResources: (call: PiecewiseStream) => handlers.stream(call, 'delta', undefined),
      },
    },
    ...SERVICES.flatMap(([service, what, message]) => {
      const type = servedType(`type.googleapis.com/${message}`);
      return type === undefined ? [] : [serviceOf(service, what, type, handlers)];
    }),
  ];
}

function serviceOf(service: string, what: string, type: ServedType, handlers: XdsHandlers): GrpcService {
  const fetch: handleUnaryCall<Buffer, Buffer> = (call, callback) => {
    try {
      callback(null, handlers.fetch(call, type));
    } catch (error) {
      callback(handlers.failure(error));
    }
  };
  return {
    definition: {
      [`Stream${what}`]: discoveryMethod(service, `Stream${what}`),
      [`Delta${what}`]: discoveryMethod(service, `Delta${what}`),
      [`Fetch${what}`]: bytesMethod(service, `Fetch${what}`, false),
    },
    implementation: {
      [`Stream${what}`]: (call: PiecewiseStream) => handlers.stream(call, 'sotw', type),
      [`Delta${what}`]: (call: PiecewiseStream) => handlers.stream(call, 'delta', type),
      [`Fetch${what}`]: fetch,
    },
  };
}
