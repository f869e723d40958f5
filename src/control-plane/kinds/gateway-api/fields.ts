import { z } from 'zod';
import { parseDuration } from '../../../model/duration.js';
import { DURATION, mapOf, stringMap } from '../fields.js';

// What the kinds of the Gateway API share, with the patterns and defaults of the published CRDs.

/** The group of the Gateway API. */
export const GATEWAY_GROUP = 'gateway.networking.k8s.io';

const DNS = '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*';

const text = (pattern: RegExp, what: string, maximum = 253) =>
  z.string().min(1).max(maximum).regex(pattern, `must be ${what}`);

/** A host name; may begin with `*.`. */
export const hostname = text(new RegExp(`^(\\*\\.)?${DNS}$`), 'a host name, with "*." in front at most');

/** A host name without a wildcard. */
export const preciseHostname = text(new RegExp(`^${DNS}$`), 'a host name without a wildcard');

export const objectName = z.string().min(1).max(253);
export const sectionName = text(new RegExp(`^${DNS}$`), 'lower case letters, digits, "-" and "."');
export const namespaceName = text(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/, 'the name of a namespace', 63);
export const portNumber = z.int().min(1).max(65_535);

/** An API group; empty = the core group. */
export const group = z
  .string()
  .max(253)
  .regex(new RegExp(`^$|^${DNS}$`), 'must be the name of an API group');

export const kindName = text(/^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$/, 'the name of a kind', 63);

/** The name of a header or of a query parameter. */
export const headerName = text(/^[A-Za-z0-9!#$%&'*+\-.^_`|~]+$/, 'the name of a header', 256);

/** The value of a header: what can be printed, with single blanks between (RFC 9110). */
export const headerValue = text(
  /^[!-~]+(?:[\t ][!-~]+)*$/,
  'text of ASCII with single blanks between words',
  4096,
);

/** A duration of GEP-2257 (`1h30m`, `500ms`), at most four parts; the parsed value is milliseconds. */
export const duration = z
  .string()
  .regex(/^(?:\d{1,5}(?:h|m|s|ms)){1,4}$/, 'must be a duration such as 1s, 250ms or 1h30m')
  .transform((value) => parseDuration(value) ?? 0)
  .meta(DURATION);

/** The selector of Kubernetes for labels. */
export const labelSelector = z.strictObject({
  matchLabels: stringMap.optional(),
  matchExpressions: z
    .array(
      z.strictObject({
        key: z.string(),
        operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']),
        values: z.array(z.string()).optional(),
      }),
    )
    .optional(),
});

/** An object of the same namespace. */
export const localObjectReference = z.strictObject({ group, kind: kindName, name: objectName });

/** An object of any namespace. */
export const objectReference = z.strictObject({
  group,
  kind: kindName,
  name: objectName,
  namespace: namespaceName.optional(),
});

/** A certificate with its key, or the roots. */
export const secretReference = z.strictObject({
  group: group.default(''),
  kind: kindName.default('Secret'),
  name: objectName,
  namespace: namespaceName.optional(),
});

/** What a route, or a policy of it, is attached to. */
export const parentReference = z.strictObject({
  group: group.default(GATEWAY_GROUP),
  kind: kindName.default('Gateway'),
  namespace: namespaceName.optional(),
  name: objectName,
  sectionName: sectionName.optional(),
  port: portNumber.optional(),
});

/** Where requests may go. */
export const backendObject = {
  group: group.default(''),
  kind: kindName.default('Service'),
  name: objectName,
  namespace: namespaceName.optional(),
  port: portNumber.optional(),
};

/** Where a share of requests goes. */
export const weightedBackend = { ...backendObject, weight: z.int().min(0).max(1_000_000).default(1) };

/** What all routes have. */
export const commonRoute = {
  parentRefs: z.array(parentReference).max(32).optional(),
  useDefaultGateways: z.enum(['All', 'None']).optional(),
};

const QUALIFIED = new RegExp(`^(?:(?=[^/]{1,253}/)${DNS}/)?([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]$`);

/** A map whose keys are names such as those of labels and annotations. */
export const qualifiedMap = (value: z.ZodString, maximum: number) =>
  mapOf(value)
    .refine((map) => Object.keys(map).length <= maximum, `has ${maximum} entries at most`)
    .refine(
      (map) => Object.keys(map).every((key) => QUALIFIED.test(key)),
      'has names such as example or example.com/name',
    );

/** The value of a label. */
export const labelValue = z
  .string()
  .max(63)
  .regex(/^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/, 'must be the value of a label');

/** Options that implementations define for themselves. */
export const tlsOptions = qualifiedMap(z.string().max(4096), 16).optional();
