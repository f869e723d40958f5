import { create } from '@bufbuild/protobuf';
import type { AccessLog, AccessLogFormat } from '../model/access-log.js';
import { DEFAULT_ACCESS_LOG_FORMAT } from '../model/access-log.js';
import type { MetadataStruct } from '../model/metadata.js';
import { packAny } from '../proto/any.js';
import { accessLog, core, accessLogFile as file, accessLogStream as stream, type wkt } from '../proto/xds.js';
import { messageOf } from '../runtime/errors.js';
import { compileJsonFormat } from '../service/format/json-format.js';
import { decodeLogFilter, encodeLogFilter } from './access-log-filter.js';
import { decodeAny } from './codec.js';
import { onlyFields } from './field-guard.js';
import { decodeFormat } from './header-mutation.js';
import { at, type Path, refuse, required } from './path.js';

const logFields = onlyFields(() => accessLog.AccessLogSchema, {
  enforced: ['filter', 'typed_config'],
  // A label of the logger.
  ignored: ['name'],
});
const fileFields = onlyFields(() => file.FileAccessLogSchema, {
  enforced: ['path', 'format', 'json_format', 'typed_json_format', 'log_format'],
});
const formatFields = onlyFields(() => core.SubstitutionFormatStringSchema, {
  enforced: ['text_format', 'json_format', 'text_format_source', 'omit_empty_values'],
  ignored: [
    // Of answers that are formatted, not of logs.
    'content_type',
    // Formatter extensions: their operators are built in here, and others are refused where they are used.
    'formatters',
    // The order of keys.
    'json_format_options',
  ],
});

/** The access logs of a connection manager; undefined when there are none. */
export function decodeAccessLogs(
  messages: readonly accessLog.AccessLog[],
  path: Path,
): readonly AccessLog[] | undefined {
  if (messages.length === 0) return undefined;
  return messages.map((message, index) => decodeLog(message, at(path, 'access_log', index)));
}

function decodeLog(message: accessLog.AccessLog, path: Path): AccessLog {
  logFields(message, path);
  const any = required(message.configType.value, at(path, 'typed_config'));
  const filter = message.filter && decodeLogFilter(message.filter, at(path, 'filter'));
  return { ...decodeSink(any, at(path, 'typed_config')), filter };
}

function decodeSink(any: wkt.Any, path: Path): Pick<AccessLog, 'sink' | 'format'> {
  const fileLog = decodeAny(file.FileAccessLogSchema, any, path);
  if (fileLog !== undefined) {
    fileFields(fileLog, path);
    if (fileLog.path === '') refuse(at(path, 'path'), 'must not be empty');
    return { sink: { kind: 'file', path: fileLog.path }, format: decodeFileFormat(fileLog, path) };
  }
  const out = decodeAny(stream.StdoutAccessLogSchema, any, path);
  const err = out ?? decodeAny(stream.StderrAccessLogSchema, any, path);
  if (err === undefined) return refuse(path, `the logger ${JSON.stringify(any.typeUrl)} is not supported`);
  const format = decodeLogFormat(err.accessLogFormat.value, at(path, 'log_format'));
  return { sink: { kind: out === undefined ? 'stderr' : 'stdout' }, format };
}

function decodeFileFormat({ accessLogFormat: format }: file.FileAccessLog, path: Path): AccessLogFormat {
  switch (format.case) {
    case 'format':
      return text(format.value, false, at(path, 'format'));
    case 'jsonFormat':
      return json(format.value, false, at(path, 'json_format'));
    case 'typedJsonFormat':
      return json(format.value, false, at(path, 'typed_json_format'));
    default:
      return decodeLogFormat(format.value, at(path, 'log_format'));
  }
}

function decodeLogFormat(message: core.SubstitutionFormatString | undefined, path: Path): AccessLogFormat {
  if (message === undefined) return text('', false, path);
  formatFields(message, path);
  const { format, omitEmptyValues } = message;
  switch (format.case) {
    case 'textFormat':
      return text(format.value, omitEmptyValues, at(path, 'text_format'));
    case 'jsonFormat':
      return json(format.value, omitEmptyValues, at(path, 'json_format'));
    case 'textFormatSource': {
      const where = at(path, 'text_format_source');
      const { specifier } = format.value;
      if (specifier.case !== 'inlineString') return refuse(where, 'needs an inline_string');
      return text(specifier.value, omitEmptyValues, where);
    }
    default:
      return text('', omitEmptyValues, path);
  }
}

/** Envoy: an empty format is the default one. */
function text(format: string, omitEmptyValues: boolean, path: Path): AccessLogFormat {
  const used = format === '' ? DEFAULT_ACCESS_LOG_FORMAT : format;
  return { kind: 'text', text: decodeFormat(used, path), omitEmptyValues };
}

const NO_TOOLS = { clock: { now: () => 0, wallTime: () => 0 }, env: {}, hostname: '' };

function json(template: MetadataStruct, omitEmptyValues: boolean, path: Path): AccessLogFormat {
  try {
    compileJsonFormat(template, NO_TOOLS);
  } catch (cause) {
    refuse(path, messageOf(cause), cause);
  }
  return { kind: 'json', template, omitEmptyValues };
}

/** The access logs as messages. */
export function encodeAccessLogs(logs: readonly AccessLog[] | undefined): accessLog.AccessLog[] {
  return (logs ?? []).map(({ sink, format, filter }) => {
    const message = create(accessLog.AccessLogSchema, {
      name: `envoy.access_loggers.${sink.kind}`,
      configType: { case: 'typedConfig', value: encodeSink(sink, encodeFormat(format)) },
    });
    if (filter !== undefined) message.filter = encodeLogFilter(filter);
    return message;
  });
}

function encodeSink(sink: AccessLog['sink'], format: core.SubstitutionFormatString): wkt.Any {
  const accessLogFormat = { case: 'logFormat', value: format } as const;
  if (sink.kind === 'file') {
    const schema = file.FileAccessLogSchema;
    return packAny(schema, create(schema, { path: sink.path, accessLogFormat }));
  }
  if (sink.kind === 'stdout') {
    const schema = stream.StdoutAccessLogSchema;
    return packAny(schema, create(schema, { accessLogFormat }));
  }
  const schema = stream.StderrAccessLogSchema;
  return packAny(schema, create(schema, { accessLogFormat }));
}

function encodeFormat(format: AccessLogFormat): core.SubstitutionFormatString {
  const { omitEmptyValues } = format;
  if (format.kind === 'json') {
    // A copy, because messages are not readonly.
    const value = JSON.parse(JSON.stringify(format.template));
    return create(core.SubstitutionFormatStringSchema, {
      omitEmptyValues,
      format: { case: 'jsonFormat', value },
    });
  }
  const value = create(core.DataSourceSchema, { specifier: { case: 'inlineString', value: format.text } });
  return create(core.SubstitutionFormatStringSchema, {
    omitEmptyValues,
    format: { case: 'textFormatSource', value },
  });
}
