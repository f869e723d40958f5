import fc from 'fast-check';
import { expect, test } from 'vitest';
import { mtlsModes, peerAuthentications } from '../../../src/control-plane/compile/peer-authentication.js';
import { DEFAULT_MESH_CONFIG } from '../../../src/control-plane/mesh/mesh-config.js';
import { refusedBy } from '../../../src/control-plane/policy/decide.js';
import { policyOfPeerAuthentications } from '../../../src/control-plane/policy/from-peer-authentication.js';
import { viewOf } from '../../unit/control-plane/compile/mesh.js';

const ROOT = DEFAULT_MESH_CONFIG.rootNamespace;
const mode = fc.constantFrom('UNSET', 'DISABLE', 'PERMISSIVE', 'STRICT');

interface Drawn {
  readonly namespace: string;
  readonly app: string | undefined;
  readonly mode: string | undefined;
  readonly ports: Readonly<Record<string, string>>;
}

const document: fc.Arbitrary<Drawn> = fc.record({
  namespace: fc.constantFrom(ROOT, 'default', 'other'),
  app: fc.constantFrom(undefined, 'a', 'b'),
  mode: fc.option(mode, { nil: undefined }),
  ports: fc.dictionary(fc.constantFrom('80', '9090'), mode, { maxKeys: 2 }),
});

function textOf(documents: readonly Drawn[]): string {
  return documents
    .map(({ namespace, app, mode: own, ports }, index) =>
      JSON.stringify({
        apiVersion: 'security.istio.io/v1',
        kind: 'PeerAuthentication',
        metadata: { name: `p${index}`, namespace },
        spec: {
          ...(own !== undefined && { mtls: { mode: own } }),
          ...(app !== undefined && { selector: { matchLabels: { app } } }),
          ...(app !== undefined &&
            Object.keys(ports).length > 0 && {
              portLevelMtls: Object.fromEntries(
                Object.entries(ports).map(([port, portMode]) => [port, { mode: portMode }]),
              ),
            }),
        },
      }),
    )
    .join('\n---\n');
}

test('the rules of a workload refuse plaintext on a port exactly where its mode is STRICT, and mTLS nowhere', () => {
  fc.assert(
    fc.property(
      fc.array(document, { maxLength: 6 }),
      fc.constantFrom(ROOT, 'default'),
      fc.constantFrom('a', 'b', 'c'),
      fc.constantFrom(80, 9090, 7),
      (documents, namespace, app, port) => {
        const view = viewOf(textOf(documents));
        const workload = { namespace, labels: { app } };
        const found = policyOfPeerAuthentications(
          peerAuthentications(view, DEFAULT_MESH_CONFIG)(workload),
          ROOT,
        );
        const policies = found === undefined ? [] : [found];
        const connection = { sourceIp: '10.0.0.1', destinationIp: '10.0.0.2', destinationPort: port };
        const isStrict = mtlsModes(view, DEFAULT_MESH_CONFIG)(workload, port) === 'STRICT';
        expect(refusedBy(policies, { ...connection, principal: undefined }) !== undefined).toBe(isStrict);
        const principal = 'cluster.local/ns/default/sa/a';
        expect(refusedBy(policies, { ...connection, principal })).toBeUndefined();
      },
    ),
    { numRuns: 200 },
  );
});
