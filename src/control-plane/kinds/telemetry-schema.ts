import { z } from 'zod';
import { mapOf, positiveDuration, workloadMode } from './fields.js';
import { policyTargets } from './policy-target-schema.js';

const providers = z.array(z.strictObject({ name: z.string().min(1) })).optional();
const match = z.strictObject({ mode: workloadMode.optional() }).optional();

const withDefault = z.strictObject({ name: z.string(), defaultValue: z.string().optional() });
const withValue = z.strictObject({ value: z.string() });

const tracing = z.strictObject({
  match,
  providers,
  randomSamplingPercentage: z.number().min(0).max(100).optional(),
  disableSpanReporting: z.boolean().optional(),
  disableContextPropagation: z.boolean().optional(),
  customTags: mapOf(
    z.strictObject({
      literal: withValue.optional(),
      environment: withDefault.optional(),
      header: withDefault.optional(),
      formatter: withValue.optional(),
    }),
  ).optional(),
  enableIstioTags: z.boolean().optional(),
  useRequestIdForTraceSampling: z.boolean().optional(),
});

const metrics = z.strictObject({
  providers,
  overrides: z
    .array(
      z.strictObject({
        match: z
          .strictObject({
            metric: z
              .enum([
                'ALL_METRICS',
                'REQUEST_COUNT',
                'REQUEST_DURATION',
                'REQUEST_SIZE',
                'RESPONSE_SIZE',
                'TCP_OPENED_CONNECTIONS',
                'TCP_CLOSED_CONNECTIONS',
                'TCP_SENT_BYTES',
                'TCP_RECEIVED_BYTES',
                'GRPC_REQUEST_MESSAGES',
                'GRPC_RESPONSE_MESSAGES',
              ])
              .optional(),
            customMetric: z.string().optional(),
            mode: workloadMode.optional(),
          })
          .optional(),
        disabled: z.boolean().optional(),
        tagOverrides: mapOf(
          z.strictObject({
            operation: z.enum(['UPSERT', 'REMOVE']).optional(),
            value: z.string().optional(),
          }),
        ).optional(),
      }),
    )
    .optional(),
  reportingInterval: positiveDuration.optional(),
});

const accessLogging = z.strictObject({
  match,
  providers,
  disabled: z.boolean().optional(),
  filter: z.strictObject({ expression: z.string().optional() }).optional(),
});

/** Istio Telemetry: every field; durations are milliseconds. */
export const telemetrySchema = z.strictObject({
  ...policyTargets,
  tracing: z.array(tracing).optional(),
  metrics: z.array(metrics).optional(),
  accessLogging: z.array(accessLogging).optional(),
});
