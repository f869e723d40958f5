import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeNode } from '../../../src/codec/node.js';
import { createCompiler } from '../../../src/control-plane/compile/compile.js';
import { DEFAULT_MESH_CONFIG } from '../../../src/control-plane/mesh/mesh-config.js';
import { ClientSession, type PublishedState } from '../../../src/control-plane/serve/client-session.js';
import {
  type Conversation,
  DeltaConversation,
  type SharedTables,
  SotwConversation,
} from '../../../src/control-plane/serve/conversation.js';
import { InterestTable } from '../../../src/control-plane/serve/interest.js';
import { NameListTable } from '../../../src/control-plane/serve/name-list.js';
import { resourceStates } from '../../../src/control-plane/serve/resource-states.js';
import {
  ResourceEncoder,
  SERVED_TYPES,
  type ServedType,
} from '../../../src/control-plane/serve/resources.js';
import { SnapshotTable } from '../../../src/control-plane/serve/type-snapshot.js';
import { discovery } from '../../../src/proto/xds.js';
import { silentLogger } from '../../../src/runtime/log.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { nodeOf, registryOf, viewOf } from '../../unit/control-plane/compile/mesh.js';

const NAMESPACES = ['red', 'green', 'blue'] as const;
type Namespace = (typeof NAMESPACES)[number];

/** A service that only its own namespace, or all, may see. */
const serviceIn = (namespace: Namespace, isPrivate: boolean) => `---
apiVersion: v1
kind: Service
metadata:
  name: shop
  namespace: ${namespace}
  annotations: { networking.istio.io/exportTo: "${isPrivate ? '.' : '*'}" }
spec:
  ports: [{ name: http, port: 80 }]
`;

const client = fc.record({
  namespace: fc.constantFrom(...NAMESPACES),
  protocol: fc.constantFrom('sotw' as const, 'delta' as const),
  isWildcard: fc.boolean(),
  generator: fc.constantFrom('inmesh', 'grpc'),
});
const world = fc.record({
  privates: fc.subarray([...NAMESPACES]),
  clients: fc.array(client, { minLength: 1, maxLength: 8 }),
});

const tablesOf = (): SharedTables => ({
  snapshots: new SnapshotTable(new ResourceEncoder()),
  interests: new InterestTable(),
  nameLists: new NameListTable(),
});

/** Everything that a client could wish to know. */
const ALL_NAMES = NAMESPACES.flatMap((namespace) => {
  const host = `shop.${namespace}.svc.cluster.local`;
  return [`outbound|80||${host}`, `${host}:80`, `shop.${namespace}:80`, host];
});

function request(
  type: ServedType,
  protocol: 'sotw' | 'delta',
  node: ReturnType<typeof nodeOf>,
  names: string[],
) {
  if (protocol === 'sotw') {
    const message = create(discovery.DiscoveryRequestSchema, { typeUrl: type.typeUrl, resourceNames: names });
    message.node = encodeNode(node);
    return toBinary(discovery.DiscoveryRequestSchema, message);
  }
  const message = create(discovery.DeltaDiscoveryRequestSchema, {
    typeUrl: type.typeUrl,
    resourceNamesSubscribe: names,
  });
  message.node = encodeNode(node);
  return toBinary(discovery.DeltaDiscoveryRequestSchema, message);
}

/** Texts of everything that a session was sent, and names that it was told do not exist. */
function sentTo(
  {
    namespace,
    protocol,
    isWildcard,
    generator,
  }: { namespace: Namespace; protocol: 'sotw' | 'delta'; isWildcard: boolean; generator: string },
  state: PublishedState,
  tables: SharedTables,
) {
  const written: Buffer[] = [];
  const conversation: Conversation =
    protocol === 'delta' ? new DeltaConversation(tables) : new SotwConversation(tables);
  const session = new ClientSession({
    conversation,
    snapshots: tables.snapshots,
    state: () => state,
    clock: createFakeClock(),
    logger: silentLogger,
    onNode: () => {},
    write: (message) => written.push(Buffer.concat(message)) > 0,
    holdsBack: () => false,
    wake: () => {},
  });
  const node = {
    ...nodeOf({ NAMESPACE: namespace, GENERATOR: generator }),
    id: `sidecar~127.0.0.1~a.${namespace}~${namespace}.svc.cluster.local`,
  };
  for (const type of SERVED_TYPES) {
    session.receive(request(type, protocol, node, isWildcard ? ['*', ...ALL_NAMES] : ALL_NAMES));
    session.push();
  }
  const contents = written.map((bytes) =>
    protocol === 'delta'
      ? fromBinary(discovery.DeltaDiscoveryResponseSchema, bytes).resources.map(
          ({ resource }) => resource?.value,
        )
      : fromBinary(discovery.DiscoveryResponseSchema, bytes).resources.map(({ value }) => value),
  );
  const told = [...session.channels].flatMap(({ ledger }) =>
    [...resourceStates(ledger)].flatMap(({ name, resource }) => (resource === undefined ? [] : [name])),
  );
  return { texts: contents.flat().map((bytes) => Buffer.from(bytes ?? []).toString('latin1')), told };
}

describe('clients of many identities at one server', () => {
  test('receive nothing of what is private to another namespace, by name or wildcard, in both protocols', () => {
    fc.assert(
      fc.property(world, ({ privates, clients }) => {
        const text = NAMESPACES.map((one) => serviceIn(one, privates.includes(one))).join('');
        const view = viewOf(text);
        const registry = registryOf(
          NAMESPACES.map((namespace) => ({ service: 'shop', namespace, address: '10.0.0.1', port: 80 })),
        );
        const compiler = createCompiler(DEFAULT_MESH_CONFIG);
        const state: PublishedState = {
          revision: view.revision,
          resourcesFor: (node) => compiler.compile(view, registry, node),
        };
        const tables = tablesOf();
        for (const one of clients) {
          const { texts, told } = sentTo(one, state, tables);
          for (const hidden of privates) {
            if (hidden === one.namespace) continue;
            const host = `shop.${hidden}.svc.cluster.local`;
            expect(texts.filter((bytes) => bytes.includes(host))).toEqual([]);
            // What CSDS would show of it.
            expect(told.filter((name) => name.includes(host))).toEqual([]);
          }
          expect(texts.some((bytes) => bytes.includes(`shop.${one.namespace}.svc.cluster.local`))).toBe(true);
        }
      }),
      { numRuns: 40 },
    );
  });
});
