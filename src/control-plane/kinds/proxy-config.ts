import { checkSelector } from './common-rules.js';
import type { Kind } from './kind.js';
import { proxyConfigSchema } from './proxy-config-schema.js';
import { createReport } from './report.js';
import type { Document } from './view.js';

/** Istio ProxyConfig: how the process of a proxy is started. */
export const proxyConfigKind: Kind<'ProxyConfig'> = {
  name: 'ProxyConfig',
  apiVersions: ['networking.istio.io/v1beta1', 'networking.istio.io/v1'],
  schema: proxyConfigSchema,
  validate,
};

/** Istio: ValidateProxyConfig. */
function validate({ spec }: Document<'ProxyConfig'>) {
  const report = createReport();
  if (spec.selector !== undefined) checkSelector(spec.selector.matchLabels, ['spec', 'selector'], report);
  return report.violations;
}
