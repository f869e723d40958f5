import { z } from 'zod';
import { MeshError } from '../../runtime/errors.js';
import { checkStructure } from '../schema/structure.js';
import { isPlainObject, type PlainValue } from '../schema/value.js';
import { formatPath } from '../schema/violation.js';
import type { CallerOptions } from './callers.js';
import type { AdminAccess } from './roles.js';

const texts = z.array(z.string());
const when = z.record(z.string(), z.union([z.string(), texts]));
const keys = { jwksUri: z.string().optional(), jwks: z.string().optional(), ca: z.string().optional() };
const issuer = z.strictObject({
  ...keys,
  issuer: z.string(),
  audiences: texts,
  algorithms: texts.optional(),
  skewMs: z.number().nonnegative().optional(),
});
const identities = z.array(z.strictObject({ id: z.string(), when: when.optional() })).min(1);

const callers = z.strictObject({
  loopback: z.boolean().optional(),
  oidc: z.array(issuer.extend({ identities })).optional(),
  kubernetes: z
    .strictObject({
      ...keys,
      issuer: z.string().optional(),
      apiServer: z.string().optional(),
      tokenFile: z.string().optional(),
      caFile: z.string().optional(),
      audiences: texts.optional(),
    })
    .optional(),
});

const role = z.enum(['viewer', 'operator', 'admin']);
const grant = z
  .strictObject({
    role,
    tokenFile: z.string().optional(),
    tokenSha256: z.string().optional(),
    spiffeId: z.string().optional(),
    issuer: z.string().optional(),
    when: when.optional(),
  })
  .refine(
    ({ tokenFile, tokenSha256, spiffeId, issuer: by }) =>
      [tokenFile, tokenSha256, spiffeId, by].filter((one) => one !== undefined).length === 1,
    'exactly one of tokenFile, tokenSha256, spiffeId and issuer says who has the role',
  );

const admin = z.strictObject({
  loopback: z.boolean().optional(),
  roles: z.array(grant).optional(),
  oidc: z.array(issuer).optional(),
  hosts: texts.optional(),
  host: z.string().optional(),
});

const file = z.strictObject({ callers: callers.optional(), admin: admin.optional() });

/** What a file says of who may do what; `createControlPlane` takes it as it is. */
export interface Access {
  readonly callers?: CallerOptions;
  readonly admin?: AdminAccess;
}

/**
 * Reads the JSON of an access file: `callers` and `admin` as `createControlPlane` has them, without functions.
 * @throws MeshError `INMESH_OPTION_INVALID` that names every field which is unknown or of the wrong form.
 */
export function parseAccess(text: string, resource: string): Access {
  const { value, violations } = checkStructure(file, objectIn(text, resource), []);
  if (value === undefined) {
    const complaints = violations.map(({ path, message, suggestion }) => {
      const hint = suggestion === undefined ? '' : ` (did you mean ${suggestion}?)`;
      return `${formatPath(path)}: ${message}${hint}`;
    });
    throw invalid(resource, complaints.join('; '));
  }
  // What the schema leaves undefined is left out by `checkStructure`, and a grant has one way of the four.
  return value as Access;
}

function objectIn(text: string, resource: string): PlainValue {
  let read: unknown;
  try {
    read = JSON.parse(text);
  } catch (cause) {
    throw invalid(resource, 'it is no JSON', cause);
  }
  // What JSON.parse gives is plain.
  const value = read as PlainValue;
  if (!isPlainObject(value)) throw invalid(resource, 'it is no object');
  return value;
}

function invalid(resource: string, message: string, cause?: unknown): MeshError {
  return new MeshError('INMESH_OPTION_INVALID', `the access file can't be used: ${message}`, {
    resource,
    hint: 'It has the members callers and admin, as createControlPlane takes them',
    cause,
  });
}
