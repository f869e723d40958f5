import { z } from 'zod';
import { ENVOY_STATUSES } from '../kinds/envoy-statuses.js';
import { port, positiveDuration, stringMap } from '../kinds/fields.js';
import { isDnsLabel, isDnsName, isIpAddress } from '../kinds/names.js';
import { entriesOf, type Report } from '../kinds/report.js';
import { checkStructure } from '../schema/structure.js';
import type { PlainValue } from '../schema/value.js';

/** `[namespace/]host` (Istio: validateExtensionProviderService). */
const service = z.string().refine(isService, { message: 'must be a host, or namespace/host' });

function isService(text: string): boolean {
  const slash = text.indexOf('/');
  const host = text.slice(slash + 1);
  return (slash < 0 || isDnsLabel(text.slice(0, slash))) && (isDnsName(host) || isIpAddress(host));
}

/** A wildcard at one end; alone it would be every header. */
const headerNames = z.array(
  z
    .string()
    .refine((name) => name !== '*', { message: 'must not be "*"; give a prefix or a suffix with it' }),
);

const common = {
  service,
  port,
  timeout: positiveDuration.optional(),
  failOpen: z.boolean().optional(),
  clearRouteCache: z.boolean().optional(),
  statusOnError: z
    .string()
    .refine((text) => text === '' || (/^\d+$/.test(text) && ENVOY_STATUSES.has(Number(text))), {
      message: 'must be the text of an HTTP status, such as "403"',
    })
    .optional(),
  includeRequestBodyInCheck: z
    .strictObject({
      maxRequestBytes: z.int().min(1),
      allowPartialMessage: z.boolean().optional(),
      packAsBytes: z.boolean().optional(),
    })
    .optional(),
};

/** Istio `EnvoyExternalAuthorizationHttpProvider`. */
const envoyExtAuthzHttp = z.strictObject({
  ...common,
  pathPrefix: z
    .string()
    .refine((path) => path === '' || path.startsWith('/'), { message: 'must begin with "/"' })
    .optional(),
  includeHeadersInCheck: headerNames.optional(),
  includeRequestHeadersInCheck: headerNames.optional(),
  includeAdditionalHeadersInCheck: stringMap.optional(),
  headersToUpstreamOnAllow: headerNames.optional(),
  headersToDownstreamOnDeny: headerNames.optional(),
  headersToDownstreamOnAllow: headerNames.optional(),
});

/** Istio `EnvoyExternalAuthorizationGrpcProvider`. */
const envoyExtAuthzGrpc = z.strictObject(common);

/** Istio `MeshConfig.ExtensionProvider`, as far as it is about authorization. */
export const extensionProviderSchema = z
  .strictObject({
    name: z.string().min(1),
    envoyExtAuthzHttp: envoyExtAuthzHttp.optional(),
    envoyExtAuthzGrpc: envoyExtAuthzGrpc.optional(),
  })
  .refine((one) => (one.envoyExtAuthzHttp === undefined) !== (one.envoyExtAuthzGrpc === undefined), {
    message: 'needs one of envoyExtAuthzHttp and envoyExtAuthzGrpc',
  });

/** An authorization service over HTTP; times are milliseconds. */
export type AuthzHttpProvider = z.output<typeof envoyExtAuthzHttp>;
/** What both kinds of authorization services have. */
export type AuthzProvider = z.output<typeof envoyExtAuthzGrpc>;
/** A service that policies of action CUSTOM ask. */
export type ExtensionProvider = z.output<typeof extensionProviderSchema>;
/** The same as a MeshConfig has it. */
export type ExtensionProviderInput = z.input<typeof extensionProviderSchema>;

/** Checks and reads the providers of a MeshConfig. */
export function readProviders(
  input: readonly ExtensionProviderInput[],
  report: Report,
): readonly ExtensionProvider[] {
  const names = new Set<string>();
  const providers: ExtensionProvider[] = [];
  for (const [one, path] of entriesOf(input, ['extensionProviders'])) {
    // The input is of texts, numbers, lists and maps alone.
    const checked = checkStructure(extensionProviderSchema, one as unknown as PlainValue, path);
    for (const violation of checked.violations) report.add(violation);
    if (checked.value === undefined) continue;
    const { name } = checked.value;
    if (names.has(name))
      report.invalid([...path, 'name'], `${JSON.stringify(name)} is the name of two providers`);
    names.add(name);
    providers.push(checked.value);
  }
  return providers;
}
