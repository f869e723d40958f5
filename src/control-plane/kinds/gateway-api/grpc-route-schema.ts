import { z } from 'zod';
import { commonRoute, hostname, localObjectReference, sectionName, weightedBackend } from './fields.js';
import { headerFilter, headerMatch, mirrorFilter, sessionPersistence } from './http-route-schema.js';

const grpcRouteMatch = z.strictObject({
  method: z
    .strictObject({
      type: z.enum(['Exact', 'RegularExpression']).default('Exact'),
      service: z.string().max(1024).optional(),
      method: z.string().max(1024).optional(),
    })
    .optional(),
  headers: z.array(headerMatch).max(16).optional(),
});

/** Gateway API GRPCRouteFilter. */
export const grpcRouteFilter = z.strictObject({
  type: z.enum(['RequestHeaderModifier', 'ResponseHeaderModifier', 'RequestMirror', 'ExtensionRef']),
  requestHeaderModifier: headerFilter.optional(),
  responseHeaderModifier: headerFilter.optional(),
  requestMirror: mirrorFilter.optional(),
  extensionRef: localObjectReference.optional(),
});

/** Gateway API GRPCRoute: every field, with the defaults of its CRD. */
export const grpcRouteSchema = z.strictObject({
  ...commonRoute,
  hostnames: z.array(hostname).max(16).optional(),
  rules: z
    .array(
      z.strictObject({
        name: sectionName.optional(),
        matches: z.array(grpcRouteMatch).max(64).optional(),
        filters: z.array(grpcRouteFilter).max(16).optional(),
        backendRefs: z
          .array(z.strictObject({ ...weightedBackend, filters: z.array(grpcRouteFilter).max(16).optional() }))
          .max(16)
          .optional(),
        sessionPersistence: sessionPersistence.optional(),
      }),
    )
    .max(16)
    .optional(),
});
