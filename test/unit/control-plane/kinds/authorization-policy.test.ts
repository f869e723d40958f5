import { describe, expect, test } from 'vitest';
import { complaintsAbout } from '../load.js';

const policy = (spec: string, annotations = '{}'): string =>
  `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: one, annotations: ${annotations}}\nspec: ${spec}\n`;

const errorsOf = (spec: string, annotations?: string): readonly string[] =>
  complaintsAbout(policy(spec, annotations))
    .filter((line) => line.includes(' error '))
    .map((line) => line.replace(/^\S+ \w+ \S+ /, ''));

const source = (text: string) => errorsOf(`{rules: [{from: [{source: ${text}}]}]}`);
const operation = (text: string) => errorsOf(`{rules: [{to: [{operation: ${text}}]}]}`);
const condition = (text: string) => errorsOf(`{rules: [{when: [${text}]}]}`);

describe('AuthorizationPolicy', () => {
  test.each([
    '{}',
    '{rules: [{}]}',
    '{action: AUDIT, rules: [{}]}',
    '{action: CUSTOM, provider: {name: authz}, rules: [{to: [{operation: {paths: [/a, "/b/*", "*"]}}]}]}',
    '{selector: {matchLabels: {app: a}}, action: DENY, rules: [{to: [{operation: {ports: ["80"]}}]}]}',
    '{targetRefs: [{kind: Service, name: a}, {group: gateway.networking.k8s.io, kind: Gateway, name: g}]}',
    '{rules: [{from: [{source: {serviceAccounts: [a, ns/b]}}]}]}',
    '{rules: [{from: [{source: {trustDomains: [td1, "*.org"]}}]}]}',
    '{rules: [{to: [{operation: {paths: ["/a/{*}/b", "/{*}/{**}", "/{**}/x"]}}]}]}',
    '{rules: [{when: [{key: "request.auth.claims[a][b]", values: [x]}]}]}',
    '{rules: [{when: [{key: "experimental.envoy.filters.a.b[c]", notValues: ["[x]"]}]}]}',
  ])('%s is taken', (spec) => {
    expect(errorsOf(spec)).toEqual([]);
  });

  test.each([
    [
      '{action: DENY}',
      'a policy of action DENY without rules never has an effect; add the empty rule {} to have it match every request',
    ],
    ['{action: CUSTOM, rules: [{}]}', 'a policy of action CUSTOM needs the name of a provider'],
    ['{provider: {name: a}}', 'a provider is for the action CUSTOM, not for ALLOW'],
    [
      '{action: DENNY}',
      'action must be one of ALLOW, DENY, AUDIT, CUSTOM, not "DENNY" (did you mean "DENY"?)',
    ],
    ['{selector: {}, targetRef: {kind: Service, name: a}}', 'only one of selector, targetRef may be given'],
    [
      '{targetRefs: [{kind: Deployment, name: a}]}',
      'a policy cannot be for "Deployment"; it can for Service, networking.istio.io/ServiceEntry, networking.istio.io/Gateway, gateway.networking.k8s.io/Gateway, gateway.networking.k8s.io/GatewayClass',
    ],
    [
      '{targetRef: {kind: Service, name: a, namespace: b}}',
      'a policy is for resources of its own namespace; leave it out',
    ],
    ['{rules: [{from: []}]}', 'from must not be empty; leave it out for any source'],
    ['{rules: [{form: []}]}', 'unknown field "form" (did you mean "from"?)'],
    [
      '{action: CUSTOM, provider: {name: a}, rules: [{when: [{key: source.principal, values: [a]}]}]}',
      'source.principal cannot be used with the action CUSTOM',
    ],
  ])('%s is refused', (spec, message) => {
    expect(errorsOf(spec)).toEqual([message]);
  });

  test.each([
    ['{}', 'a source must not be empty; leave out from for any source'],
    ['{principals: [""]}', '"" must not be empty'],
    ['{ipBlocks: [10.0.0.0/33]}', '"10.0.0.0/33" is neither an IP address nor a range such as 10.0.0.0/8'],
    ['{serviceAccounts: ["a*"]}', '"a*" must not have a wildcard'],
    ['{serviceAccounts: [a/b/c]}', '"a/b/c" must be a service account, or namespace/account'],
    [
      '{serviceAccounts: [a], namespaces: [b]}',
      'serviceAccounts cannot be given with principals or namespaces',
    ],
  ])('a source %s is refused', (text, message) => {
    expect(source(text)).toEqual([message]);
  });

  test.each([
    ['{}', 'an operation must not be empty; leave out to for any operation'],
    ['{ports: ["80a"]}', '"80a" is not a port'],
    ['{paths: ["/a/{**}/{*}"]}', '"/a/{**}/{*}" has a wildcard after {**}, which must be the last'],
    ['{paths: ["/a/{name}"]}', '"/a/{name}" has a brace that is not part of {*} or {**}'],
    ['{paths: ["/{*}/a*"]}', '"/{*}/a*" has the segment "a*", which no path has'],
  ])('an operation %s is refused', (text, message) => {
    expect(operation(text)).toEqual([message]);
  });

  test.each([
    ['{key: "", values: [a]}', 'the key of a condition must not be empty'],
    ['{key: source.ip}', 'a condition needs values or notValues, as source.ip has neither'],
    [
      '{key: source.ips, values: [1.2.3.4]}',
      'the condition "source.ips" is not known (did you mean "source.ip"?)',
    ],
    [
      '{key: "request.headers[]", values: [a]}',
      '"request.headers[]" lacks a name in brackets, as in request.headers[name]',
    ],
    [
      '{key: destination.labels, values: [a]}',
      `the condition "destination.labels" is said by the policy's selector`,
    ],
    ['{key: destination.port, notValues: ["70000"]}', '"70000" is not a port'],
  ])('a condition %s is refused', (text, message) => {
    expect(condition(text)).toEqual([message]);
  });

  test('a rule that would deny every connection of ports without HTTP is pointed at', () => {
    const spec = '{action: DENY, rules: [{to: [{operation: {methods: [GET]}}]}]}';
    expect(complaintsAbout(policy(spec))).toEqual([
      expect.stringMatching(/^4:\d+ warning .*on ports without HTTP this rule denies every connection/),
    ]);
  });

  test('the annotation of a dry run is a boolean', () => {
    expect(errorsOf('{}', '{istio.io/dry-run: "true"}')).toEqual([]);
    expect(errorsOf('{}', '{istio.io/dry-run: "yes"}')).toEqual(['"yes" is neither true nor false']);
  });
});
