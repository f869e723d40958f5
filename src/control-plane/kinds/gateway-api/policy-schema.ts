import { z } from 'zod';
import {
  group,
  hostname,
  kindName,
  localObjectReference,
  namespaceName,
  objectName,
  preciseHostname,
  sectionName,
  tlsOptions,
} from './fields.js';

/** Gateway API ReferenceGrant. */
export const referenceGrantSchema = z.strictObject({
  from: z
    .array(z.strictObject({ group, kind: kindName, namespace: namespaceName }))
    .min(1)
    .max(16),
  to: z
    .array(z.strictObject({ group, kind: kindName, name: objectName.optional() }))
    .min(1)
    .max(16),
});

const WELL_KNOWN =
  /^(?:System|[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9])?$/;

/** Gateway API BackendTLSPolicy. */
export const backendTlsPolicySchema = z.strictObject({
  targetRefs: z
    .array(z.strictObject({ group, kind: kindName, name: objectName, sectionName: sectionName.optional() }))
    .min(1)
    .max(16),
  validation: z.strictObject({
    caCertificateRefs: z.array(localObjectReference).max(8).optional(),
    wellKnownCACertificates: z
      .string()
      .max(253)
      .regex(WELL_KNOWN, 'must be System, or a domain with a name')
      .optional(),
    hostname: preciseHostname,
    subjectAltNames: z
      .array(
        z.strictObject({
          type: z.enum(['Hostname', 'URI']),
          hostname: hostname.optional(),
          uri: z
            .string()
            .min(1)
            .max(253)
            .regex(
              /^(([^:/?#]+):)(\/\/([^/?#]*))([^?#]*)(\?([^#]*))?(#(.*))?/,
              'must be a URI with its scheme',
            )
            .optional(),
        }),
      )
      .max(5)
      .optional(),
  }),
  options: tlsOptions,
});
