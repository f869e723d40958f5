import { isIP } from 'node:net';
import { create } from '@bufbuild/protobuf';
import type { AddressRange } from '../model/value-matcher.js';
import { xdsCore } from '../proto/xds.js';
import { at, type Path, refuse } from './path.js';

/** A range as Envoy's and xDS's CidrRange messages have it. */
interface RangeMessage {
  readonly addressPrefix: string;
  readonly prefixLen?: number | undefined;
}

/** Ranges of addresses, at least one. */
export function decodeRanges(
  messages: readonly RangeMessage[],
  path: Path,
  field: string,
): readonly AddressRange[] {
  if (messages.length === 0) refuse(at(path, field), 'must not be empty');
  return messages.map(({ addressPrefix, prefixLen = 0 }, index) => {
    const where = at(path, field, index);
    const family = isIP(addressPrefix);
    if (family === 0) refuse(at(where, 'address_prefix'), 'is no IP address');
    if (prefixLen > (family === 4 ? 32 : 128)) refuse(at(where, 'prefix_len'), 'is longer than the address');
    return { address: addressPrefix, bits: prefixLen };
  });
}

/** The ranges as messages. */
export function encodeRanges(ranges: readonly AddressRange[]): xdsCore.CidrRange[] {
  return ranges.map(({ address, bits }) =>
    create(xdsCore.CidrRangeSchema, { addressPrefix: address, prefixLen: bits }),
  );
}
