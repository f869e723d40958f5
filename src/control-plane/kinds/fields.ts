import { z } from 'zod';
import { parseDuration } from '../../model/duration.js';
import { isDnsLabel, isPort } from './names.js';

/** Durations closer than this to a whole millisecond are whole: `1.001s` is no exact binary fraction. */
const ROUNDING_MS = 1e-7;

/** How durations are described; by it the types of `inmesh/config` tell them from other texts. */
export const DURATION = { description: 'A duration such as 1s or 250ms' };

/** A Go duration as Istio's YAML writes it (`7s`, `1h2m`); the parsed value is milliseconds. */
export const duration = z
  .string()
  .transform((text, context) => {
    const ms = parseDuration(text);
    if (ms === undefined) {
      context.addIssue({
        code: 'custom',
        message: `must be a duration such as 1s or 250ms, not ${JSON.stringify(text)}`,
      });
      return z.NEVER;
    }
    const whole = Math.round(ms);
    return Math.abs(ms - whole) < ROUNDING_MS ? whole : ms;
  })
  .meta(DURATION);

/** A duration of zero or whole milliseconds. */
export const wholeDuration = duration.refine((ms) => ms >= 0 && Number.isInteger(ms), {
  message: 'must not be negative, and no finer than a millisecond',
});

/** A duration of at least one millisecond, in whole milliseconds (Istio: ValidateDuration). */
export const positiveDuration = duration.refine((ms) => ms >= 1 && Number.isInteger(ms), {
  message: 'must be at least 1ms, and no finer than a millisecond',
});

/** A signed 32-bit integer of at least `minimum`. */
export function int32(minimum = -(2 ** 31), maximum = 2 ** 31 - 1) {
  return z.int().min(minimum).max(maximum);
}

/** An unsigned 32-bit integer. */
export const uint32 = z
  .int()
  .min(0)
  .max(2 ** 32 - 1);

/** A port from 1 to 65535. */
export const port = z.int().refine(isPort, { message: 'must be a port from 1 to 65535' });

/** Istio PortSelector. */
export const portSelector = z.strictObject({ number: port });

/** Istio Percent: a number from 0 to 100. */
export const percent = z.strictObject({ value: z.number().min(0).max(100).optional() });

/** A map of strings without a prototype, so that names such as `constructor` are only what the document says. */
export const stringMap = z.record(z.string(), z.string()).transform(withoutPrototype);

/** A map from a name to a value of the schema, without a prototype. */
export function mapOf<S extends z.ZodType>(schema: S) {
  return z.record(z.string(), schema).transform(withoutPrototype);
}

function withoutPrototype<T>(map: Record<string, T>): Record<string, T> {
  // Object.create is typed any; the object holds exactly the entries of the map.
  return Object.assign(Object.create(null) as Record<string, T>, map);
}

/** `exportTo`: `.` own namespace, `*` all, `~` none, or names of namespaces. */
export const exportTo = z.array(
  z.string().refine((name) => name === '.' || name === '*' || name === '~' || isDnsLabel(name), {
    message: 'must be ".", "*", "~" or the name of a namespace',
  }),
);

/** Selects workloads by labels, as the networking kinds do (Istio: `workloadSelector.matchLabels`). */
export const matchLabelsSelector = z.strictObject({ matchLabels: stringMap.optional() });

/** A map of anything: what it means is said elsewhere (protobuf's Struct). */
export const openMap = z.record(z.string(), z.unknown());

/** Which traffic something is about, seen from the workload (Istio WorkloadMode). */
export const workloadMode = z.enum(['CLIENT_AND_SERVER', 'CLIENT', 'SERVER']);

/** Selects workloads of a namespace by labels (Istio: `workloadSelector.labels`). */
export const labelsSelector = z.strictObject({ labels: stringMap.optional() });
