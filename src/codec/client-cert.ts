import { create } from '@bufbuild/protobuf';
import type { ForwardedClientCert } from '../model/client-cert.js';
import { httpConnectionManager as hcm } from '../proto/xds.js';
import { onlyFields } from './field-guard.js';
import { at, type Path, refuse } from './path.js';

/** Names of the connection manager's fields that are decoded here. */
export const CLIENT_CERT_FIELDS: readonly string[] = [
  'forward_client_cert_details',
  'set_current_client_cert_details',
];

// `chain` is refused: of a chain only what was verified is kept.
const detailFields = onlyFields(() => hcm.HttpConnectionManager_SetCurrentClientCertDetailsSchema, {
  enforced: ['subject', 'cert', 'dns', 'uri'],
});

const MODES = [undefined, 'forward-only', 'append-forward', 'sanitize-set', 'always-forward-only'] as const;

/** What becomes of the header; undefined = what callers say is taken off, and the mesh says who they are. */
export function decodeClientCert(
  message: hcm.HttpConnectionManager,
  path: Path,
): ForwardedClientCert | undefined {
  const { forwardClientCertDetails, setCurrentClientCertDetails: details } = message;
  const detailPath = at(path, 'set_current_client_cert_details');
  if (details !== undefined) detailFields(details, detailPath);
  if (!(forwardClientCertDetails in MODES))
    refuse(at(path, 'forward_client_cert_details'), `has no value ${String(forwardClientCertDetails)}`);
  const mode = MODES[forwardClientCertDetails];
  if (mode === undefined) return undefined;
  return {
    mode,
    subject: details?.subject ?? false,
    cert: details?.cert ?? false,
    dns: details?.dns ?? false,
    uri: details?.uri ?? false,
  };
}

/** Writes it into the connection manager. */
export function encodeClientCert(
  { mode, ...details }: ForwardedClientCert,
  message: hcm.HttpConnectionManager,
): void {
  message.forwardClientCertDetails = MODES.indexOf(mode);
  message.setCurrentClientCertDetails = create(
    hcm.HttpConnectionManager_SetCurrentClientCertDetailsSchema,
    details,
  );
}
