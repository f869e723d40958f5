import { create } from '@bufbuild/protobuf';
import { type RouterConfig, STRICT_HEADERS, type StrictHeader } from '../model/filter-config.js';
import { httpRouter } from '../proto/xds.js';
import { onlyFields } from './field-guard.js';
import { at, type Path, refuse } from './path.js';

const routerFields = onlyFields(() => httpRouter.RouterSchema, {
  enforced: ['suppress_envoy_headers', 'respect_expected_rq_timeout', 'strict_check_headers'],
  ignored: [
    // Statistics, spans and logs of the router; ours are configured elsewhere.
    'dynamic_stats',
    'start_child_span',
    'upstream_log',
    'upstream_log_options',
    'suppress_grpc_request_failure_code_stats',
  ],
});

/** The router's configuration. */
export function decodeRouter(message: httpRouter.Router, path: Path): RouterConfig {
  routerFields(message, path);
  const { strictCheckHeaders: names } = message;
  return {
    kind: 'router',
    suppressEnvoyHeaders: message.suppressEnvoyHeaders || undefined,
    respectExpectedTimeout: message.respectExpectedRqTimeout || undefined,
    strictCheckHeaders:
      names.length === 0
        ? undefined
        : names.map((name, index) => strictHeader(name, at(path, 'strict_check_headers', index))),
  };
}

function strictHeader(name: string, path: Path): StrictHeader {
  // Envoy validates the field: these five, in lower case.
  return (
    STRICT_HEADERS.find((known) => known === name) ?? refuse(path, `${JSON.stringify(name)} is not checked`)
  );
}

/** The router's configuration as a message. */
export function encodeRouter(config: RouterConfig): httpRouter.Router {
  return create(httpRouter.RouterSchema, {
    suppressEnvoyHeaders: config.suppressEnvoyHeaders ?? false,
    respectExpectedRqTimeout: config.respectExpectedTimeout ?? false,
    strictCheckHeaders: [...(config.strictCheckHeaders ?? [])],
  });
}
