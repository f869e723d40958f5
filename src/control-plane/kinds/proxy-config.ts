import type { Kind } from './kind.js';
import { proxyConfigSchema } from './proxy-config-schema.js';

/** Istio ProxyConfig: how the process of a proxy is started. */
export const proxyConfigKind: Kind<'ProxyConfig'> = {
  name: 'ProxyConfig',
  apiVersions: ['networking.istio.io/v1beta1', 'networking.istio.io/v1'],
  schema: proxyConfigSchema,
  validate: () => [],
};
