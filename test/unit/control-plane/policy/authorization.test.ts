import { describe, expect, test } from 'vitest';
import { refusedBy } from '../../../../src/control-plane/policy/decide.js';
import {
  type AuthorizationDocument,
  policyOfAuthorization,
} from '../../../../src/control-plane/policy/from-authorization-policy.js';
import type { PolicyConnection } from '../../../../src/control-plane/policy/workload-policy.js';

const ROOT = 'istio-system';

const policyOf = (spec: AuthorizationDocument['spec'], namespace = 'default') =>
  policyOfAuthorization({ name: 'one', namespace, spec }, ROOT);

const decides = (spec: AuthorizationDocument['spec'], connection: Partial<PolicyConnection> = {}) => {
  const policy = policyOf(spec);
  const refused = refusedBy(policy === undefined ? [] : [policy], {
    principal: 'cluster.local/ns/default/sa/web',
    sourceIp: '10.1.2.3',
    destinationIp: '10.0.0.1',
    destinationPort: 80,
    ...connection,
  });
  return refused === undefined ? 'let in' : 'refused';
};

describe('the scope', () => {
  test.each([
    ['everything in the root namespace', {}, ROOT, 'GLOBAL'],
    ['a namespace', {}, 'default', 'NAMESPACE'],
    ['workloads', { selector: { matchLabels: { app: 'a' } } }, 'default', 'WORKLOAD_SELECTOR'],
  ])('%s', (_, spec, namespace, scope) => {
    expect(policyOf(spec, namespace)?.scope).toBe(scope);
  });

  test.each([{ targetRefs: [{ kind: 'Gateway', name: 'g' }] }, { action: 'CUSTOM' }, { action: 'AUDIT' }])(
    '%j is no matter of connections to workloads',
    (spec) => {
      expect(policyOf(spec)).toBeUndefined();
    },
  );
});

describe('what is decided about a connection', () => {
  const source = (one: object) => ({ rules: [{ from: [{ source: one }] }] });
  const when = (key: string, ...values: string[]) => ({ rules: [{ when: [{ key, values }] }] });

  test.each([
    ['nothing allowed', {}, 'refused'],
    ['everything allowed', { rules: [{}] }, 'let in'],
    ['nothing denied', { action: 'DENY' }, 'let in'],
    ['everything denied', { action: 'DENY', rules: [{}] }, 'refused'],
    ['its namespace', source({ namespaces: ['def*'] }), 'let in'],
    ['another namespace', source({ namespaces: ['*other'] }), 'refused'],
    ['not its namespace', source({ notNamespaces: ['default'] }), 'refused'],
    ['its account', source({ serviceAccounts: ['web'] }), 'let in'],
    ['its account, elsewhere', source({ serviceAccounts: ['other/web'] }), 'refused'],
    ['any principal', source({ principals: ['*'] }), 'let in'],
    ['its address', source({ ipBlocks: ['10.1.0.0/16'] }), 'let in'],
    ['another address', source({ ipBlocks: ['10.2.0.0/16', '::1'] }), 'refused'],
    ['another port', { rules: [{ to: [{ operation: { ports: ['81'] } }] }] }, 'refused'],
    ['the port by a condition', when('destination.port', '80'), 'let in'],
    ['the address of the server', when('destination.ip', '10.0.0.1'), 'let in'],
    ['a path, which nobody knows yet', { rules: [{ to: [{ operation: { paths: ['/a'] } }] }] }, 'refused'],
    [
      'a denied path, counted as any',
      { action: 'DENY', rules: [{ to: [{ operation: { paths: ['/a'], ports: ['80'] } }] }] },
      'refused',
    ],
    ['a denied header, counted as any', { action: 'DENY', ...when('request.headers[a]', 'b') }, 'refused'],
    ['trust domains, which nobody reads here', source({ trustDomains: ['a'] }), 'refused'],
  ] as const)('%s: %j is %s', (_, spec, decision) => {
    expect(decides(spec)).toBe(decision);
  });

  test('plaintext has no principal', () => {
    expect(decides(source({ principals: ['*'] }), { principal: undefined })).toBe('refused');
    expect(decides(source({ notPrincipals: ['*'] }), { principal: undefined })).toBe('let in');
  });
});
