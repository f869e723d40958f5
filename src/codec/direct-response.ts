import { readFileSync } from 'node:fs';
import { create } from '@bufbuild/protobuf';
import type { DirectResponseAction, RouteConfiguration } from '../model/route.js';
import { core, route } from '../proto/xds.js';
import { messageOf } from '../runtime/errors.js';
import { onlyFields } from './field-guard.js';
import { at, type Path, refuse } from './path.js';

const directFields = onlyFields(() => route.DirectResponseActionSchema, { enforced: ['status', 'body'] });
const bodyFields = onlyFields(() => core.DataSourceSchema, {
  enforced: ['inline_string', 'inline_bytes', 'filename'],
});

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
    body: body === undefined ? '' : decodeBody(body, at(path, 'body')),
  };
}

function decodeBody(body: core.DataSource, path: Path): string {
  bodyFields(body, path);
  const { specifier } = body;
  switch (specifier.case) {
    case 'inlineString':
      return specifier.value;
    case 'inlineBytes':
      return utf8(specifier.value, at(path, 'inline_bytes'));
    case 'filename':
      return utf8(readBody(specifier.value, at(path, 'filename')), at(path, 'filename'));
    default:
      return refuse(path, 'needs inline_string, inline_bytes or filename');
  }
}

/** Envoy reads the file when the configuration is loaded, and refuses the configuration when it can't. */
function readBody(file: string, path: Path): Uint8Array {
  try {
    return readFileSync(file);
  } catch (cause) {
    return refuse(path, `can't be read: ${messageOf(cause)}`, cause);
  }
}

function utf8(bytes: Uint8Array, path: Path): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    return refuse(path, 'is no UTF-8 text', cause);
  }
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
