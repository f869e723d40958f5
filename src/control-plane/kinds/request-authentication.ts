import { checkJwksText, isJwksUri } from './jwks-rules.js';
import type { Kind } from './kind.js';
import { checkPolicyTargets } from './policy-target.js';
import { createReport, entriesOf, type Report } from './report.js';
import { requestAuthenticationSchema } from './request-authentication-schema.js';
import type { JwtRule } from './types.js';
import type { Document, FieldPath } from './view.js';

/** Istio RequestAuthentication. */
export const requestAuthenticationKind: Kind<'RequestAuthentication'> = {
  name: 'RequestAuthentication',
  apiVersions: ['security.istio.io/v1', 'security.istio.io/v1beta1'],
  schema: requestAuthenticationSchema,
  validate,
};

const DRY_RUN = 'istio.io/dry-run';
const MAX_RULES = 4096;
const MAX_URI = 2048;
const MAX_LIST_CLAIMS = 64;

function validate({ spec, annotations }: Document<'RequestAuthentication'>) {
  const report = createReport();
  const { jwtRules = [] } = spec;
  if (annotations[DRY_RUN] !== undefined) {
    report.invalid(['metadata', 'annotations'], `a RequestAuthentication can't be tried with ${DRY_RUN}`);
  }
  checkPolicyTargets(spec, report);
  const path = ['spec', 'jwtRules'];
  if (jwtRules.length > MAX_RULES) report.invalid(path, `jwtRules may have ${MAX_RULES} entries at most`);
  for (const [rule, at] of entriesOf(jwtRules, path)) checkRule(rule, at, report);
  return report.violations;
}

function checkRule(rule: JwtRule, path: FieldPath, report: Report): void {
  const { issuer, jwks, jwksUri = rule.jwks_uri } = rule;
  if (issuer === '') report.invalid([...path, 'issuer'], 'the issuer must not be empty');
  if ((issuer ?? '') === '' && (jwksUri ?? '') === '')
    report.invalid(path, 'a rule needs an issuer or jwksUri');
  if (jwksUri !== undefined) checkUri(jwksUri, [...path, 'jwksUri'], report);
  else if ((jwks ?? '') === '' && !isJwksUri(issuer ?? '')) {
    report.warn(path, 'without jwks and jwksUri the issuer must be a URL: its keys are looked up there');
  }
  const given = [rule.jwksUri, rule.jwks_uri, jwks].filter((one) => one !== undefined);
  if (given.length > 1) report.invalid(path, 'only one of jwks and jwksUri can be set');
  if (jwks !== undefined && jwks !== '') checkJwksText(jwks, [...path, 'jwks'], report);
  checkPlaces(rule, path, report);
  checkOutputs(rule, path, report);
}

function checkUri(uri: string, path: FieldPath, report: Report): void {
  if (!isJwksUri(uri)) report.invalid(path, `${JSON.stringify(uri)} is not a URL of http or https`);
  if (uri.length > MAX_URI) report.invalid(path, `a URL has ${MAX_URI} characters at most`);
}

function checkPlaces(rule: JwtRule, path: FieldPath, report: Report): void {
  for (const field of ['audiences', 'fromParams', 'fromCookies', 'spaceDelimitedClaims'] as const) {
    for (const [text, at] of entriesOf(rule[field], [...path, field])) {
      if (text === '') report.invalid(at, `an entry of ${field} must not be empty`);
    }
  }
  for (const [{ name }, at] of entriesOf(rule.fromHeaders, [...path, 'fromHeaders'])) {
    if (!HEADER_NAME.test(name))
      report.invalid([...at, 'name'], `${JSON.stringify(name)} is no name of a header`);
  }
}

/** A token (RFC 9110 §5.6.2). */
const HEADER_NAME = /^[-!#$%&'*+.^_`|~0-9A-Za-z]+$/;
/** Istio: ValidateStrictHTTPHeaderName. */
const STRICT_HEADER_NAME = /^[-_A-Za-z0-9]+$/;

function checkOutputs(rule: JwtRule, path: FieldPath, report: Report): void {
  const { outputPayloadToHeader: payload, spaceDelimitedClaims: lists = [] } = rule;
  if (payload !== undefined && payload !== '' && !HEADER_NAME.test(payload)) {
    report.invalid([...path, 'outputPayloadToHeader'], `${JSON.stringify(payload)} is no name of a header`);
  }
  if (lists.length > MAX_LIST_CLAIMS) {
    report.invalid([...path, 'spaceDelimitedClaims'], `may have ${MAX_LIST_CLAIMS} entries at most`);
  }
  for (const [{ header, claim }, at] of entriesOf(rule.outputClaimToHeaders, [
    ...path,
    'outputClaimToHeaders',
  ])) {
    if (claim === '') report.invalid([...at, 'claim'], 'the claim must not be empty');
    if (!STRICT_HEADER_NAME.test(header)) {
      report.invalid([...at, 'header'], `${JSON.stringify(header)} is no name of a header`);
    }
  }
}
