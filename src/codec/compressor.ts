import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type {
  CompressionRule,
  CompressorConfig,
  CompressorRouteConfig,
  DecompressionRule,
  DecompressorConfig,
} from '../model/body-filters.js';
import { httpCompressor as compressor, core, httpDecompressor as decompressor } from '../proto/xds.js';
import {
  decodeCompressor,
  decodeDecompressor,
  encodeCompressor,
  encodeDecompressor,
} from './compression-library.js';
import { onlyFields } from './field-guard.js';
import { at, type Path, refuse } from './path.js';
import { keysOf, wireKey } from './runtime-keys.js';

const configFields = onlyFields(() => compressor.CompressorSchema, {
  enforced: [
    'compressor_library',
    'request_direction_config',
    'response_direction_config',
    'choose_first',
    // Deprecated: they hold while there is no response_direction_config (Envoy).
    'content_length',
    'content_type',
    'disable_on_etag_header',
    'remove_accept_encoding_header',
    'runtime_enabled',
  ],
});
const commonFields = onlyFields(() => compressor.Compressor_CommonDirectionConfigSchema, {
  enforced: ['enabled', 'min_content_length', 'content_type'],
});
const responseFields = onlyFields(() => compressor.Compressor_ResponseDirectionConfigSchema, {
  enforced: ['common_config', 'disable_on_etag_header', 'remove_accept_encoding_header'],
});
const requestFields = onlyFields(() => compressor.Compressor_RequestDirectionConfigSchema, {
  enforced: ['common_config'],
});
const flagFields = onlyFields(() => core.RuntimeFeatureFlagSchema, {
  enforced: ['default_value', 'runtime_key'],
});
const routeFields = onlyFields(() => compressor.CompressorPerRouteSchema, {
  enforced: ['disabled', 'overrides'],
});
const overridesFields = onlyFields(() => compressor.CompressorOverridesSchema, {
  enforced: ['response_direction_config'],
});
const responseOverridesFields = onlyFields(() => compressor.ResponseDirectionOverridesSchema, {
  enforced: ['remove_accept_encoding_header'],
});

function decodeFlag(flag: core.RuntimeFeatureFlag | undefined, path: Path): boolean {
  if (flag === undefined) return true;
  flagFields(flag, path);
  return flag.defaultValue ?? refuse(at(path, 'default_value'), 'is required');
}

function encodeFlag({
  enabled,
  runtimeKeys,
}: Pick<DecompressionRule, 'enabled' | 'runtimeKeys'>): core.RuntimeFeatureFlag {
  const runtimeKey = wireKey(runtimeKeys, 'enabled');
  return create(core.RuntimeFeatureFlagSchema, { defaultValue: enabled, runtimeKey });
}

const MIN_LENGTH = 30;

function decodeRule(
  config: compressor.Compressor_CommonDirectionConfig | undefined,
  path: Path,
): CompressionRule {
  if (config !== undefined) commonFields(config, path);
  return {
    enabled: decodeFlag(config?.enabled, at(path, 'enabled')),
    minLength: config?.minContentLength ?? MIN_LENGTH,
    contentTypes: config?.contentType ?? [],
    ...keysOf({ enabled: config?.enabled }),
  };
}

/** The compressor's configuration. */
export function decodeCompressorFilter(message: compressor.Compressor, path: Path): CompressorConfig {
  configFields(message, path);
  const { requestDirectionConfig: request, responseDirectionConfig: response } = message;
  if (request !== undefined) requestFields(request, at(path, 'request_direction_config'));
  return {
    kind: 'compressor',
    ...decodeCompressor(message.compressorLibrary, at(path, 'compressor_library')),
    request:
      request && decodeRule(request.commonConfig, at(at(path, 'request_direction_config'), 'common_config')),
    response:
      response === undefined
        ? decodeDeprecated(message, path)
        : decodeResponse(response, at(path, 'response_direction_config')),
    chooseFirst: message.chooseFirst,
  };
}

function decodeResponse(
  response: compressor.Compressor_ResponseDirectionConfig,
  path: Path,
): CompressorConfig['response'] {
  responseFields(response, path);
  return {
    ...decodeRule(response.commonConfig, at(path, 'common_config')),
    disableOnEtag: response.disableOnEtagHeader,
    removeAcceptEncoding: response.removeAcceptEncodingHeader,
  };
}

function decodeDeprecated(message: compressor.Compressor, path: Path): CompressorConfig['response'] {
  return {
    enabled: decodeFlag(message.runtimeEnabled, at(path, 'runtime_enabled')),
    minLength: message.contentLength ?? MIN_LENGTH,
    contentTypes: message.contentType,
    disableOnEtag: message.disableOnEtagHeader,
    removeAcceptEncoding: message.removeAcceptEncodingHeader,
    ...keysOf({ enabled: message.runtimeEnabled }),
  };
}

/** Its configuration for a route. */
export function decodeCompressorRoute(
  message: compressor.CompressorPerRoute,
  path: Path,
): CompressorRouteConfig {
  routeFields(message, path);
  const { override } = message;
  switch (override.case) {
    case 'disabled':
      if (!override.value) refuse(at(path, 'disabled'), 'must be true');
      return { kind: 'compressor-route', disabled: true, removeAcceptEncoding: undefined };
    case 'overrides': {
      const where = at(path, 'overrides');
      overridesFields(override.value, where);
      const response = override.value.responseDirectionConfig;
      if (response !== undefined) responseOverridesFields(response, at(where, 'response_direction_config'));
      const removeAcceptEncoding = response?.removeAcceptEncodingHeader;
      return { kind: 'compressor-route', disabled: false, removeAcceptEncoding };
    }
    default:
      return refuse(path, 'needs disabled or overrides');
  }
}

type RuleInit = MessageInitShape<typeof compressor.Compressor_CommonDirectionConfigSchema>;

function encodeRule(rule: CompressionRule): RuleInit {
  return {
    enabled: encodeFlag(rule),
    minContentLength: rule.minLength,
    contentType: [...rule.contentTypes],
  };
}

/** The compressor's configuration as a message. */
export function encodeCompressorFilter(config: CompressorConfig): compressor.Compressor {
  const { request, response, chooseFirst } = config;
  const message = create(compressor.CompressorSchema, {
    compressorLibrary: encodeCompressor(config),
    responseDirectionConfig: {
      commonConfig: encodeRule(response),
      disableOnEtagHeader: response.disableOnEtag,
      removeAcceptEncodingHeader: response.removeAcceptEncoding,
    },
    chooseFirst,
  });
  if (request !== undefined) {
    message.requestDirectionConfig = create(compressor.Compressor_RequestDirectionConfigSchema, {
      commonConfig: encodeRule(request),
    });
  }
  return message;
}

/** Its configuration for a route as a message. */
export function encodeCompressorRoute({
  disabled,
  removeAcceptEncoding,
}: CompressorRouteConfig): compressor.CompressorPerRoute {
  if (disabled) {
    return create(compressor.CompressorPerRouteSchema, { override: { case: 'disabled', value: true } });
  }
  const value = create(compressor.CompressorOverridesSchema);
  if (removeAcceptEncoding !== undefined) {
    value.responseDirectionConfig = create(compressor.ResponseDirectionOverridesSchema, {
      removeAcceptEncodingHeader: removeAcceptEncoding,
    });
  }
  return create(compressor.CompressorPerRouteSchema, { override: { case: 'overrides', value } });
}

const decompressorFields = onlyFields(() => decompressor.DecompressorSchema, {
  enforced: ['decompressor_library', 'request_direction_config', 'response_direction_config'],
});
const decompressorCommonFields = onlyFields(() => decompressor.Decompressor_CommonDirectionConfigSchema, {
  enforced: ['enabled', 'ignore_no_transform_header'],
});
const decompressorRequestFields = onlyFields(() => decompressor.Decompressor_RequestDirectionConfigSchema, {
  enforced: ['common_config', 'advertise_accept_encoding'],
});
const decompressorResponseFields = onlyFields(() => decompressor.Decompressor_ResponseDirectionConfigSchema, {
  enforced: ['common_config'],
});

/** The decompressor's configuration. */
export function decodeDecompressorFilter(message: decompressor.Decompressor, path: Path): DecompressorConfig {
  decompressorFields(message, path);
  const { requestDirectionConfig: request, responseDirectionConfig: response } = message;
  const [requestPath, responsePath] = [
    at(path, 'request_direction_config'),
    at(path, 'response_direction_config'),
  ];
  if (request !== undefined) decompressorRequestFields(request, requestPath);
  if (response !== undefined) decompressorResponseFields(response, responsePath);
  return {
    kind: 'decompressor',
    ...decodeDecompressor(message.decompressorLibrary, at(path, 'decompressor_library')),
    request: {
      ...decodeDecompression(request?.commonConfig, at(requestPath, 'common_config')),
      advertise: request?.advertiseAcceptEncoding ?? true,
    },
    response: decodeDecompression(response?.commonConfig, at(responsePath, 'common_config')),
  };
}

function decodeDecompression(
  config: decompressor.Decompressor_CommonDirectionConfig | undefined,
  path: Path,
): DecompressionRule {
  if (config !== undefined) decompressorCommonFields(config, path);
  return {
    enabled: decodeFlag(config?.enabled, at(path, 'enabled')),
    ignoreNoTransform: config?.ignoreNoTransformHeader ?? false,
    ...keysOf({ enabled: config?.enabled }),
  };
}

/** The decompressor's configuration as a message. */
export function encodeDecompressorFilter(config: DecompressorConfig): decompressor.Decompressor {
  const { request, response } = config;
  const common = (rule: DecompressionRule) => ({
    enabled: encodeFlag(rule),
    ignoreNoTransformHeader: rule.ignoreNoTransform,
  });
  return create(decompressor.DecompressorSchema, {
    decompressorLibrary: encodeDecompressor(config),
    requestDirectionConfig: { commonConfig: common(request), advertiseAcceptEncoding: request.advertise },
    responseDirectionConfig: { commonConfig: common(response) },
  });
}
