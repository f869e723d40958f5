import { z } from 'zod';
import { exportTo, int32, mapOf, matchLabelsSelector, port, positiveDuration } from './fields.js';
import { stringMatch } from './virtual-service-schema.js';

/** Whose requests are counted: those that selected workloads serve, or those that clients send to a host. */
const subject = {
  selector: matchLabelsSelector.optional(),
  host: z.string().optional(),
  exportTo: exportTo.optional(),
  /** Of the workload with a selector, of the service with a host; empty = all. */
  ports: z.array(port).optional(),
};

/** Which requests; all of it must hold. */
const match = z.strictObject({
  uri: stringMatch.optional(),
  method: stringMatch.optional(),
  headers: mapOf(stringMatch).optional(),
  queryParams: mapOf(stringMatch).optional(),
});

/** What of a request makes it count by itself. */
const distinction = z
  .strictObject({
    header: z.string().min(1).optional(),
    queryParameter: z.string().min(1).optional(),
    remoteAddress: z.literal(true).optional(),
  })
  .refine((one) => Object.keys(one).length === 1, {
    message: 'must have one of header, queryParameter and remoteAddress',
  });

/** A status of a refusal. */
const status = int32(400, 599);

/** RateLimitPolicy, a kind of inmesh: limits that each process keeps by itself. */
export const rateLimitPolicySchema = z.strictObject({
  ...subject,
  /** Default 429. */
  status: status.optional(),
  /** Counts, and refuses nothing. */
  dryRun: z.boolean().optional(),
  rules: z
    .array(
      z.strictObject({
        name: z.string().min(1).max(63).optional(),
        match: match.optional(),
        by: z.array(distinction).max(5).optional(),
        limit: z.strictObject({
          requests: int32(0),
          per: positiveDuration,
          /** How many may come at once; default `requests`. */
          burst: int32(1).optional(),
        }),
      }),
    )
    .min(1)
    .max(64),
});

/** Quota, a kind of inmesh: limits that a rate limit service keeps for all processes together (Envoy's `RateLimitService`). */
export const quotaSchema = z.strictObject({
  ...subject,
  service: z.strictObject({ host: z.string(), port }),
  domain: z.string().min(1),
  /** For the answer of the service. Default 20ms. */
  timeout: positiveDuration.optional(),
  /** Whether requests pass that the service says nothing about. Default true. */
  failOpen: z.boolean().optional(),
  /** Default 429. */
  status: status.optional(),
  /** Asks, and refuses nothing. */
  dryRun: z.boolean().optional(),
  descriptors: z
    .array(
      z.strictObject({
        /** Holds for the first entry with a value, without which there is no descriptor. */
        match: match.omit({ queryParams: true }).optional(),
        entries: z
          .array(
            z
              .strictObject({
                key: z.string().min(1),
                value: z.string().min(1).optional(),
                header: z.string().min(1).optional(),
                queryParameter: z.string().min(1).optional(),
                remoteAddress: z.literal(true).optional(),
              })
              .refine((one) => Object.keys(one).length === 2, {
                message: 'must have one of value, header, queryParameter and remoteAddress',
              })
              .refine((one) => one.remoteAddress === undefined || one.key === 'remote_address', {
                message: 'of the remote address must have the key remote_address',
              }),
          )
          .min(1)
          .max(10),
      }),
    )
    .min(1)
    .max(64),
});
