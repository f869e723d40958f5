import { create } from '@bufbuild/protobuf';
import type { PathMatcher } from '../model/matcher.js';
import {
  parseRewriteTemplate,
  parseTemplate,
  type RewritePart,
  variablesOf,
} from '../model/path-template.js';
import type { PathRewrite } from '../model/rewrite.js';
import { packAny } from '../proto/any.js';
import { type core, uriTemplateMatch, uriTemplateRewrite } from '../proto/xds.js';
import { decodeAny } from './codec.js';
import { extensionConfig } from './extension.js';
import { onlyFields } from './field-guard.js';
import { at, type Path, refuse, required } from './path.js';

const matchFields = onlyFields(() => uriTemplateMatch.UriTemplateMatchConfigSchema, {
  enforced: ['path_template'],
});
const rewriteFields = onlyFields(() => uriTemplateRewrite.UriTemplateRewriteConfigSchema, {
  enforced: ['path_template_rewrite'],
});

/** Envoy: a path specifier that is an extension; templates are the only ones. */
export function decodePathTemplate(extension: core.TypedExtensionConfig, path: Path): PathMatcher {
  const config = required(extension.typedConfig, at(path, 'typed_config'));
  const message =
    decodeAny(uriTemplateMatch.UriTemplateMatchConfigSchema, config, path) ??
    refuse(path, `the matcher ${JSON.stringify(config.typeUrl)} is not supported`);
  matchFields(message, path);
  const template = message.pathTemplate;
  const parts = parseTemplate(template);
  if (typeof parts === 'string') refuse(at(at(path, 'typed_config'), 'path_template'), parts);
  return { kind: 'template', template };
}

/** The template as an extension; the name is for people. */
export function encodePathTemplate(
  template: string,
  name = 'envoy.path.match.uri_template.uri_template_matcher',
): core.TypedExtensionConfig {
  const schema = uriTemplateMatch.UriTemplateMatchConfigSchema;
  const typedConfig = packAny(schema, create(schema, { pathTemplate: template }));
  return extensionConfig(name, typedConfig);
}

/** Envoy: a path rewrite that is an extension; templates are the only ones. */
export function decodeTemplateRewrite(extension: core.TypedExtensionConfig, path: Path): PathRewrite {
  const config = required(extension.typedConfig, at(path, 'typed_config'));
  const message =
    decodeAny(uriTemplateRewrite.UriTemplateRewriteConfigSchema, config, path) ??
    refuse(path, `the rewriter ${JSON.stringify(config.typeUrl)} is not supported`);
  rewriteFields(message, path);
  const template = message.pathTemplateRewrite;
  const parts = parseRewriteTemplate(template);
  if (typeof parts === 'string') refuse(at(at(path, 'typed_config'), 'path_template_rewrite'), parts);
  return { kind: 'template', template };
}

/** The rewrite as an extension. */
export function encodeTemplateRewrite(template: string): core.TypedExtensionConfig {
  const schema = uriTemplateRewrite.UriTemplateRewriteConfigSchema;
  const typedConfig = packAny(schema, create(schema, { pathTemplateRewrite: template }));
  return extensionConfig('envoy.path.rewrite.uri_template.uri_template_rewriter', typedConfig);
}

/** Envoy: a template rewrite stands next to a template match, and uses only the variables of that one. */
export function checkTemplateRewrite(
  matcher: PathMatcher,
  rewrite: PathRewrite | undefined,
  path: Path,
): void {
  if (rewrite?.kind !== 'template') return;
  if (matcher.kind !== 'template') {
    refuse(at(path, 'path_rewrite_policy'), 'needs a path_match_policy in the match of the route');
  }
  const known = new Set(variablesOf(partsOf(parseTemplate(matcher.template))));
  for (const part of partsOf<RewritePart>(parseRewriteTemplate(rewrite.template))) {
    if ('variable' in part && !known.has(part.variable)) {
      refuse(
        at(path, 'path_rewrite_policy'),
        `names the variable ${part.variable}, which the match does not have`,
      );
    }
  }
}

/** Both were parsed when they were decoded. */
function partsOf<T>(parts: readonly T[] | string): readonly T[] {
  return typeof parts === 'string' ? [] : parts;
}
