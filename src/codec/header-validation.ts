import { create } from '@bufbuild/protobuf';
import type { UniversalPathRules } from '../model/request-processing.js';
import { packAny } from '../proto/any.js';
import { type core, httpConnectionManager as hcm, headerValidator as validator } from '../proto/xds.js';
import { decodeMessage } from './codec.js';
import { extensionConfig } from './extension.js';
import { onlyFields } from './field-guard.js';
import { at, type Path, refuse } from './path.js';

const TYPE_URL =
  'type.googleapis.com/envoy.extensions.http.header_validators.envoy_default.v3.HeaderValidatorConfig';

const fields = onlyFields(() => validator.HeaderValidatorConfigSchema, {
  enforced: ['uri_path_normalization_options', 'strip_fragment_from_path'],
});
const optionFields = onlyFields(() => validator.HeaderValidatorConfig_UriPathNormalizationOptionsSchema, {
  enforced: ['skip_path_normalization', 'skip_merging_slashes', 'path_with_escaped_slashes_action'],
});

/** The universal header validator of a connection manager, as far as it is about paths; heads are checked anyway. */
export function decodeHeaderValidation(
  manager: hcm.HttpConnectionManager,
  path: Path,
): UniversalPathRules | undefined {
  const config: core.TypedExtensionConfig | undefined = manager.typedHeaderValidationConfig;
  if (config === undefined) return undefined;
  const { IMPLEMENTATION_SPECIFIC_DEFAULT } = hcm.HttpConnectionManager_PathWithEscapedSlashesAction;
  const isSlashesSet = manager.pathWithEscapedSlashesAction !== IMPLEMENTATION_SPECIFIC_DEFAULT;
  if (manager.normalizePath === true || manager.mergeSlashes || isSlashesSet) {
    refuse(path, 'may not stand next to normalize_path, merge_slashes or path_with_escaped_slashes_action');
  }
  const any = config.typedConfig;
  const configPath = at(path, 'typed_config');
  if (any?.typeUrl !== TYPE_URL) return refuse(configPath, `${any?.typeUrl ?? ''} is not supported`);
  const message = decodeMessage(validator.HeaderValidatorConfigSchema, any.value, configPath);
  fields(message, configPath);
  const optionPath = at(configPath, 'uri_path_normalization_options');
  const options = message.uriPathNormalizationOptions;
  if (options !== undefined) optionFields(options, optionPath);
  return {
    skipNormalization: options?.skipPathNormalization ?? false,
    mergeSlashes: options?.skipMergingSlashes !== true,
    escapedSlashes: decodeSlashes(options, at(optionPath, 'path_with_escaped_slashes_action')),
    stripFragment: message.stripFragmentFromPath,
  };
}

const ACTIONS = ['keep', 'keep', 'reject', 'redirect', 'forward'] as const;

function decodeSlashes(
  options: validator.HeaderValidatorConfig_UriPathNormalizationOptions | undefined,
  path: Path,
): UniversalPathRules['escapedSlashes'] {
  const action = options?.pathWithEscapedSlashesAction ?? 0;
  return ACTIONS[action] ?? refuse(path, `has no value ${String(action)}`);
}

/** The rules as the extension of a connection manager. */
export function encodeHeaderValidation(rules: UniversalPathRules): core.TypedExtensionConfig {
  const message = create(validator.HeaderValidatorConfigSchema, {
    stripFragmentFromPath: rules.stripFragment,
    uriPathNormalizationOptions: {
      skipPathNormalization: rules.skipNormalization,
      skipMergingSlashes: !rules.mergeSlashes,
      pathWithEscapedSlashesAction: ACTIONS.lastIndexOf(rules.escapedSlashes),
    },
  });
  return extensionConfig(
    'envoy.http.header_validators.envoy_default',
    packAny(validator.HeaderValidatorConfigSchema, message),
  );
}
