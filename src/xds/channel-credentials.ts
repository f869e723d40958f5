import type { ChannelCredentials } from '@grpc/grpc-js';
import { splitHostPort } from '../model/address.js';

/** The library, which is loaded when it is needed. */
export type Grpc = typeof import('@grpc/grpc-js');

/** Makes the credentials of a connection, anew for each one, so that a rotated identity is picked up. */
export type CredentialsSource = (grpc: Grpc) => ChannelCredentials | Promise<ChannelCredentials>;

/** Plaintext to this machine, TLS with the platform's roots to any other. */
export function defaultCredentials(target: string): CredentialsSource {
  return (grpc) => (isLoopback(target) ? grpc.credentials.createInsecure() : grpc.credentials.createSsl());
}

/** Whether a target is on this machine, where plaintext is allowed. */
export function isLoopback(target: string): boolean {
  if (target.startsWith('unix:')) return true;
  const { host } = splitHostPort(target.replace(/^dns:(\/\/[^/]*\/)?/, ''));
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}
