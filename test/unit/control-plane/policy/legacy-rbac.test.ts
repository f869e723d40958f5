import { describe, expect, test } from 'vitest';
import { migrateRbac } from '../../../../src/control-plane/policy/legacy-rbac.js';
import { complaintsAbout } from '../load.js';

const migrate = (content: string) => migrateRbac([{ file: 'old.yaml', content }]);

const old = (kind: string, name: string, spec: string, namespace = 'shop') =>
  `---\napiVersion: rbac.istio.io/v1alpha1\nkind: ${kind}\nmetadata: {name: ${name}, namespace: ${namespace}}\nspec: ${spec}\n`;

const SERVICE = `---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec: {selector: {app: cart, tier: back}, ports: [{port: 80}]}
`;

const ROLE = old(
  'ServiceRole',
  'viewer',
  '{rules: [{services: [cart.shop.svc.cluster.local], methods: [GET], paths: ["/a/*"]}]}',
);
const BINDING = old(
  'ServiceRoleBinding',
  'web',
  '{subjects: [{user: cluster.local/ns/shop/sa/web}, {properties: {source.namespace: ops}}], roleRef: {kind: ServiceRole, name: viewer}}',
);

describe('policies of v1alpha1', () => {
  test('a role and its binding are one policy for the workloads of the service', () => {
    const { policies, losses, yaml } = migrate(SERVICE + ROLE + BINDING);
    expect(losses).toEqual([]);
    expect(policies.map(({ metadata, spec }) => ({ metadata, spec }))).toEqual([
      {
        metadata: { name: 'web', namespace: 'shop' },
        spec: {
          selector: { matchLabels: { app: 'cart', tier: 'back' } },
          rules: [
            {
              from: [{ source: { principals: ['cluster.local/ns/shop/sa/web'] } }],
              to: [{ operation: { paths: ['/a/*'], methods: ['GET'] } }],
            },
            {
              to: [{ operation: { paths: ['/a/*'], methods: ['GET'] } }],
              when: [{ key: 'source.namespace', values: ['ops'] }],
            },
          ],
        },
      },
    ]);
    expect(complaintsAbout(yaml)).toEqual([]);
  });

  test('everybody, every service and every method say nothing', () => {
    const role = old('ServiceRole', 'all', '{rules: [{services: ["*"], methods: ["*"]}]}');
    const binding = old(
      'ServiceRoleBinding',
      'all',
      '{subjects: [{user: "*"}], roleRef: {name: all}, mode: PERMISSIVE}',
    );
    expect(migrate(role + binding).policies).toMatchObject([
      { metadata: { annotations: { 'istio.io/dry-run': 'true' } }, spec: { rules: [{}] } },
    ]);
  });

  test.each([
    ['{mode: ON}', [['istio-system', {}]]],
    ['{mode: ON_WITH_INCLUSION, inclusion: {namespaces: [shop]}}', [['shop', {}]]],
    [
      '{mode: ON_WITH_EXCLUSION, exclusion: {services: [cart.shop.svc.cluster.local]}}',
      [
        ['istio-system', {}],
        ['shop', { selector: { matchLabels: { app: 'cart', tier: 'back' } }, rules: [{}] }],
      ],
    ],
  ])('ClusterRbacConfig %s', (spec, expected) => {
    const { policies, yaml } = migrate(SERVICE + old('ClusterRbacConfig', 'default', spec));
    expect(policies.map(({ metadata, spec: own }) => [metadata.namespace, own])).toEqual(expected);
    expect(complaintsAbout(yaml)).toEqual([]);
  });

  test('what has no equal is said, and left out instead of being allowed', () => {
    const group = old('ServiceRoleBinding', 'g', '{subjects: [{group: admins}], roleRef: {name: viewer}}');
    const pattern = old('ServiceRole', 'p', '{rules: [{services: ["ca*"]}]}');
    const bound = old('ServiceRoleBinding', 'b', '{subjects: [{user: "*"}], roleRef: {name: p}}');
    const labels = old(
      'ServiceRole',
      'l',
      '{rules: [{services: ["*"], constraints: [{key: "destination.labels[v]", values: [a, b]}]}]}',
    );
    const bound2 = old('ServiceRoleBinding', 'c', '{subjects: [{user: "*"}], roleRef: {name: l}}');
    const missing = old('ServiceRoleBinding', 'm', '{subjects: [{user: "*"}], roleRef: {name: none}}');
    const { policies, losses } = migrate(
      SERVICE + ROLE + group + pattern + bound + labels + bound2 + missing,
    );
    expect(policies).toEqual([]);
    expect(losses).toEqual([
      expect.stringMatching(/g: groups were the claim/),
      expect.stringMatching(/ca\* names services by a pattern/),
      expect.stringMatching(/the constraint destination\.labels\[v\] has no equal/),
      expect.stringMatching(/names the ServiceRole none, which is not there/),
    ]);
  });
});
