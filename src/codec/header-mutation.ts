import { create, isFieldSet } from '@bufbuild/protobuf';
import type { AppendAction, HeaderAddition, HeaderMutations, HeaderRules } from '../model/header-mutation.js';
import { core } from '../proto/xds.js';
import { messageOf } from '../runtime/errors.js';
import { checkFormat } from '../service/format/format.js';
import { translateLegacy } from '../service/format/parse.js';
import { onlyFields } from './field-guard.js';
import { at, type Path, refuse, required } from './path.js';

const optionFields = onlyFields(() => core.HeaderValueOptionSchema, {
  enforced: ['header', 'append', 'append_action', 'keep_empty_value'],
});
const valueFields = onlyFields(() => core.HeaderValueSchema, { enforced: ['key', 'value', 'raw_value'] });

const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const MAX_BYTES = 16_384;

/** The fields of any message that carries header rules. */
export interface HeaderRuleFields {
  readonly requestHeadersToAdd: core.HeaderValueOption[];
  readonly requestHeadersToRemove: string[];
  readonly responseHeadersToAdd: core.HeaderValueOption[];
  readonly responseHeadersToRemove: string[];
}

/** Their names in .proto files. */
export const HEADER_RULE_FIELDS: readonly string[] = [
  'request_headers_to_add',
  'request_headers_to_remove',
  'response_headers_to_add',
  'response_headers_to_remove',
];

/** The header rules of a route, virtual host, table or weighted cluster; undefined when it has none. */
export function decodeHeaderRules(message: HeaderRuleFields, path: Path): HeaderRules | undefined {
  const request = decodeMutations(
    message.requestHeadersToAdd,
    message.requestHeadersToRemove,
    path,
    'request',
  );
  const response = decodeMutations(
    message.responseHeadersToAdd,
    message.responseHeadersToRemove,
    path,
    'response',
  );
  const count = request.add.length + request.remove.length + response.add.length + response.remove.length;
  return count === 0 ? undefined : { request, response };
}

/** The header rules as fields of a message. */
export function encodeHeaderRules(rules: HeaderRules | undefined): HeaderRuleFields {
  return {
    requestHeadersToAdd: rules?.request.add.map(encodeAddition) ?? [],
    requestHeadersToRemove: [...(rules?.request.remove ?? [])],
    responseHeadersToAdd: rules?.response.add.map(encodeAddition) ?? [],
    responseHeadersToRemove: [...(rules?.response.remove ?? [])],
  };
}

function decodeMutations(
  add: readonly core.HeaderValueOption[],
  remove: readonly string[],
  path: Path,
  side: 'request' | 'response',
): HeaderMutations {
  return {
    add: add.map((one, index) => decodeAddition(one, at(path, `${side}_headers_to_add`, index), modifiable)),
    remove: remove.map((name, index) => modifiable(name, at(path, `${side}_headers_to_remove`, index))),
  };
}

/** Envoy: pseudo-headers and the host are changed by rewrites only. */
export function modifiable(name: string, path: Path): string {
  if (name.startsWith(':') || name.toLowerCase() === 'host') {
    refuse(path, ':-prefixed headers and Host may not be changed here');
  }
  return headerName(name, path);
}

/** A header name in lower case. */
export function headerName(name: string, path: Path): string {
  if (name === '') refuse(path, 'must not be empty');
  if (!NAME.test(name) || name.length > MAX_BYTES) {
    refuse(path, `${JSON.stringify(name)} is no header name`);
  }
  return name.toLowerCase();
}

/** As {@link headerName}, for headers that are read: pseudo-headers may be named, too. */
export function readableHeader(name: string, path: Path): string {
  return name.startsWith(':') ? `:${headerName(name.slice(1), path)}` : headerName(name, path);
}

/** One header to set; `nameOf` checks its name. */
export function decodeAddition(
  option: core.HeaderValueOption,
  path: Path,
  nameOf: (name: string, path: Path) => string,
): HeaderAddition {
  optionFields(option, path);
  const header = required(option.header, at(path, 'header'));
  if (option.append !== undefined && isFieldSet(option, core.HeaderValueOptionSchema.field.appendAction)) {
    refuse(at(path, 'append'), 'may not stand next to append_action');
  }
  return {
    name: nameOf(header.key, at(at(path, 'header'), 'key')),
    value: decodeHeaderValue(header, at(path, 'header')),
    action: decodeAction(option, path),
    keepEmpty: option.keepEmptyValue,
  };
}

/** The value of a header as a format string. */
export function decodeHeaderValue(header: core.HeaderValue, path: Path): string {
  valueFields(header, path);
  if (header.value !== '' && header.rawValue.length > 0) {
    refuse(at(path, 'raw_value'), 'may not stand next to value');
  }
  const text = header.value === '' ? Buffer.from(header.rawValue).toString('latin1') : header.value;
  if (/[\0\r\n]/.test(text)) refuse(at(path, 'value'), 'contains a control character');
  const format = translateLegacy(text);
  decodeFormat(format, at(path, 'value'));
  return format;
}

/** The format string; refuses what would not compile. */
export function decodeFormat(format: string, path: Path): string {
  try {
    checkFormat(format);
  } catch (cause) {
    refuse(path, messageOf(cause), cause);
  }
  return format;
}

function decodeAction(option: core.HeaderValueOption, path: Path): AppendAction {
  // Envoy: the older boolean, where it is given, decides between adding a line and replacing all.
  if (option.append !== undefined) {
    return option.append ? 'append-if-exists-or-add' : 'overwrite-if-exists-or-add';
  }
  const { APPEND_IF_EXISTS_OR_ADD, ADD_IF_ABSENT, OVERWRITE_IF_EXISTS_OR_ADD, OVERWRITE_IF_EXISTS } =
    core.HeaderValueOption_HeaderAppendAction;
  switch (option.appendAction) {
    case APPEND_IF_EXISTS_OR_ADD:
      return 'append-if-exists-or-add';
    case ADD_IF_ABSENT:
      return 'add-if-absent';
    case OVERWRITE_IF_EXISTS_OR_ADD:
      return 'overwrite-if-exists-or-add';
    case OVERWRITE_IF_EXISTS:
      return 'overwrite-if-exists';
    default:
      return refuse(at(path, 'append_action'), `has no value ${String(option.appendAction)}`);
  }
}

const ACTIONS: Readonly<Record<AppendAction, number>> = {
  'append-if-exists-or-add': 0,
  'add-if-absent': 1,
  'overwrite-if-exists-or-add': 2,
  'overwrite-if-exists': 3,
};

/** One header to set as a message. */
export function encodeAddition({ name, value, action, keepEmpty }: HeaderAddition): core.HeaderValueOption {
  return create(core.HeaderValueOptionSchema, {
    header: { key: name, value },
    appendAction: ACTIONS[action],
    keepEmptyValue: keepEmpty,
  });
}
