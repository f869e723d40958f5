import { type ChannelCredentials, type ClientOptions, credentials } from '@grpc/grpc-js';
import type { MeshCore } from '../../mesh/core.js';
import { MeshChannel } from './channel.js';

/** How a channel or a client through the mesh is made: the options of grpc-js, and for hosts outside the mesh credentials. */
export type MeshClientOptions = ClientOptions & {
  /** For hosts that the mesh does not own, and for credentials of calls; by default insecure. */
  readonly credentials?: ChannelCredentials;
};

/** The class of a generated client. */
export type ClientClass<C> = new (
  address: string,
  credentials: ChannelCredentials,
  options?: ClientOptions,
) => C;

/**
 * A channel through the mesh, for generated clients of grpc-js:
 * `new GreeterClient('greeter:50051', credentials, { channelOverride: meshChannel(mesh, 'greeter:50051') })`.
 * It is a channel of grpc-js in every respect; close it when no client uses it any more.
 */
export function meshChannel(
  mesh: { readonly core: MeshCore },
  target: string,
  options: MeshClientOptions = {},
): MeshChannel {
  const { credentials: own, ...rest } = options;
  return new MeshChannel(mesh, target, own, rest);
}

/** Makes a generated client whose calls go through the mesh: `meshClient(mesh, GreeterClient, 'greeter:50051')`. */
export function meshClient<C>(
  mesh: { readonly core: MeshCore },
  Client: ClientClass<C>,
  target: string,
  options: MeshClientOptions = {},
): C {
  const { credentials: own = credentials.createInsecure(), ...rest } = options;
  return new Client(target, own, { ...rest, channelOverride: meshChannel(mesh, target, options) });
}

/**
 * For clients that somebody else makes: `{ channelFactoryOverride: meshChannelFactory(mesh) }` among the options of grpc-js
 * gives each its channel through the mesh.
 */
export function meshChannelFactory(mesh: {
  readonly core: MeshCore;
}): NonNullable<ClientOptions['channelFactoryOverride']> {
  return (address, own, options) => new MeshChannel(mesh, address, own, options);
}
