import { create } from '@bufbuild/protobuf';
import type { DirectResponseAction, RouteConfiguration } from '../model/route.js';
import { core, route } from '../proto/xds.js';
import { decodeTextSource } from './data-source.js';
import { onlyFields } from './field-guard.js';
import { at, type Path, refuse } from './path.js';

const directFields = onlyFields(() => route.DirectResponseActionSchema, { enforced: ['status', 'body'] });

/** Envoy: `max_direct_response_body_size_bytes` of a table that names none. */
const DEFAULT_MAX_BODY_BYTES = 4096;

/** The action that answers without going upstream. */
export function decodeDirectResponse(action: route.DirectResponseAction, path: Path): DirectResponseAction {
  directFields(action, path);
  const { status, body } = action;
  if (status < 200 || status > 599) refuse(at(path, 'status'), 'must be between 200 and 599');
  return {
    kind: 'direct-response',
    status,
    body: body === undefined ? '' : decodeTextSource(body, at(path, 'body')),
  };
}

/** Refuses bodies above the table's limit. */
export function checkBodySizes(table: RouteConfiguration, limit: number | undefined, path: Path): void {
  const maxBytes = limit ?? DEFAULT_MAX_BODY_BYTES;
  table.virtualHosts.forEach(({ routes }, hostIndex) => {
    routes.forEach(({ action }, index) => {
      if (action.kind !== 'direct-response' || Buffer.byteLength(action.body) <= maxBytes) return;
      const where = at(at(path, 'virtual_hosts', hostIndex), 'routes', index);
      refuse(at(at(where, 'direct_response'), 'body'), `is longer than ${maxBytes} bytes`);
    });
  });
}

/** The limit that lets the table's bodies pass; undefined while Envoy's default does. */
export function bodyLimitOf({ virtualHosts }: RouteConfiguration): number | undefined {
  let longest = 0;
  for (const { routes } of virtualHosts) {
    for (const { action } of routes) {
      if (action.kind === 'direct-response') longest = Math.max(longest, Buffer.byteLength(action.body));
    }
  }
  return longest > DEFAULT_MAX_BODY_BYTES ? longest : undefined;
}

/** The direct response as a message. */
export function encodeDirectResponse({ status, body }: DirectResponseAction): route.DirectResponseAction {
  const message = create(route.DirectResponseActionSchema, { status });
  if (body !== '')
    message.body = create(core.DataSourceSchema, { specifier: { case: 'inlineString', value: body } });
  return message;
}
