import type {
  handleBidiStreamingCall,
  handleUnaryCall,
  ServerDuplexStream,
  ServiceDefinition,
} from '@grpc/grpc-js';
import type { IncomingCall } from './caller.js';
import { type ServedType, servedType } from './resources.js';

export type Stream = ServerDuplexStream<Buffer, Buffer>;

/** A gRPC service with what carries it out. */
export interface GrpcService {
  readonly definition: ServiceDefinition;
  readonly implementation: Readonly<
    Record<string, handleBidiStreamingCall<Buffer, Buffer> | handleUnaryCall<Buffer, Buffer>>
  >;
}

/** How a stream is to be read. */
export type ProtocolName = 'sotw' | 'delta';

/** What carries streams and single questions out. */
export interface XdsHandlers {
  /** `only` is set on a service for one type. */
  readonly stream: (call: Stream, protocol: ProtocolName, only: ServedType | undefined) => void;
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
] as const;

/** ADS and the services for one type each, in both protocols. */
export function xdsServices(handlers: XdsHandlers): readonly GrpcService[] {
  const ads = 'envoy.service.discovery.v3.AggregatedDiscoveryService';
  return [
    {
      definition: {
        StreamAggregatedResources: bytesMethod(ads, 'StreamAggregatedResources', true),
        DeltaAggregatedResources: bytesMethod(ads, 'DeltaAggregatedResources', true),
      },
      implementation: {
        StreamAggregatedResources: (call: Stream) => handlers.stream(call, 'sotw', undefined),
        DeltaAggregatedResources: (call: Stream) => handlers.stream(call, 'delta', undefined),
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
      [`Stream${what}`]: bytesMethod(service, `Stream${what}`, true),
      [`Delta${what}`]: bytesMethod(service, `Delta${what}`, true),
      [`Fetch${what}`]: bytesMethod(service, `Fetch${what}`, false),
    },
    implementation: {
      [`Stream${what}`]: (call: Stream) => handlers.stream(call, 'sotw', type),
      [`Delta${what}`]: (call: Stream) => handlers.stream(call, 'delta', type),
      [`Fetch${what}`]: fetch,
    },
  };
}
