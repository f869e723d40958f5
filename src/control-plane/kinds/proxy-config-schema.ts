import { z } from 'zod';
import { int32, matchLabelsSelector, stringMap } from './fields.js';

/** Istio ProxyImage. */
export const proxyImage = z.strictObject({ imageType: z.string().optional() });

/** Istio ProxyConfig: every field. */
export const proxyConfigSchema = z.strictObject({
  selector: matchLabelsSelector.optional(),
  concurrency: int32(0).optional(),
  environmentVariables: stringMap.optional(),
  image: proxyImage.optional(),
});
