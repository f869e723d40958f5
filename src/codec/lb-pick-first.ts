import { create } from '@bufbuild/protobuf';
import type { PickFirstPolicy } from '../model/lb-policy.js';
import { packAny } from '../proto/any.js';
import { type cluster, lbPickFirst } from '../proto/xds.js';
import { onlyFields } from './field-guard.js';
import { extension } from './lb-extension.js';
import type { Path } from './path.js';

const pickFirstFields = onlyFields(() => lbPickFirst.PickFirstSchema, {
  enforced: ['shuffle_address_list'],
});

export function decodePickFirst(message: lbPickFirst.PickFirst, path: Path): PickFirstPolicy {
  pickFirstFields(message, path);
  return { kind: 'pick-first', shuffle: message.shuffleAddressList };
}

/** The policy as an extension. */
export function encodePickFirst({ shuffle }: PickFirstPolicy): cluster.LoadBalancingPolicy_Policy {
  const message = create(lbPickFirst.PickFirstSchema, { shuffleAddressList: shuffle });
  return extension('pick_first', packAny(lbPickFirst.PickFirstSchema, message));
}
