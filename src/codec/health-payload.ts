import { create } from '@bufbuild/protobuf';
import { core } from '../proto/xds.js';
import { at, type Path, refuse } from './path.js';

/** The bytes of a payload, in lower-case hex, which is also the form that `text` has. */
export function decodePayload({ payload }: core.HealthCheck_Payload, path: Path): string {
  switch (payload.case) {
    case 'text':
      return /^(?:[0-9a-fA-F]{2})+$/.test(payload.value)
        ? payload.value.toLowerCase()
        : refuse(at(path, 'text'), `${JSON.stringify(payload.value)} is no text in hex`);
    case 'binary':
      return Buffer.from(payload.value).toString('hex');
    default:
      return refuse(path, 'must be text or binary');
  }
}

/** The payloads of a list. */
export function decodePayloads(
  payloads: readonly core.HealthCheck_Payload[],
  path: Path,
  field: string,
): readonly string[] {
  return payloads.map((payload, index) => decodePayload(payload, at(path, field, index)));
}

/** The bytes of a text in hex as a message. */
export function encodePayload(hex: string): core.HealthCheck_Payload {
  return create(core.HealthCheck_PayloadSchema, {
    payload: { case: 'binary', value: new Uint8Array(Buffer.from(hex, 'hex')) },
  });
}
