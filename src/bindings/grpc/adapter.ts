import { experimental } from '@grpc/grpc-js';
import { MeshError } from '../../runtime/errors.js';

/**
 * The experimental part of grpc-js that resolvers and balancers are made of. It may change with any minor version, so this
 * file is the one that looks whether it is what we know (1.14).
 */
export type Experimental = typeof experimental;

const NEEDED = [
  'registerResolver',
  'registerLoadBalancerType',
  'isLoadBalancerNameRegistered',
  'statusOrFromError',
  'statusOrFromValue',
  'QueuePicker',
  'UnavailablePicker',
  'BaseSubchannelWrapper',
  'BaseFilter',
] as const;

/**
 * The experimental part, of the version that we know.
 * @throws MeshError `INMESH_UNSUPPORTED` when this grpc-js has another.
 */
export function experimentalOf(found: Partial<Experimental> = experimental): Experimental {
  const missing = NEEDED.filter((name) => typeof found[name] !== 'function');
  if (missing.length > 0 || found.PickResultType?.COMPLETE === undefined) {
    throw new MeshError(
      'INMESH_UNSUPPORTED',
      `this version of @grpc/grpc-js has no ${missing.join(', ') || 'PickResultType'}`,
      { hint: 'Use @grpc/grpc-js 1.14, or meshChannel, which needs nothing experimental' },
    );
  }
  // Every part was just looked at.
  return found as Experimental;
}
