import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeNode } from '../../../src/codec/node.js';
import { SERVED_TYPES } from '../../../src/control-plane/serve/resources.js';
import { type ControlPlane, createControlPlane, createMemorySource } from '../../../src/control-plane.js';
import { discovery, loadStats, status } from '../../../src/proto/xds.js';
import { testIssuer } from '../../unit/control-plane/access/tokens.js';
import { nodeOf } from '../../unit/control-plane/compile/mesh.js';

const COUNT = 100;
const issuer = testIssuer('https://issuer.test');
const numbers = Array.from({ length: COUNT }, (_, index) => index);
/** Namespaces t000 … t099 exist, z000 … z099 do not: their names are equally long. */
const real = (index: number) => `t${String(index % COUNT).padStart(3, '0')}`;
const absent = (index: number) => `z${String(index % COUNT).padStart(3, '0')}`;

/** In each namespace a service that only it may see. */
const documents = numbers
  .map(
    (index) => `---
apiVersion: v1
kind: Service
metadata:
  name: vault
  namespace: ${real(index)}
  annotations: { networking.istio.io/exportTo: "." }
spec:
  ports: [{ name: http, port: 80 }]
`,
  )
  .join('');

let folder = '';
let plane: ControlPlane;
let client: Client;
const figures = { identities: COUNT, requests: 0, bytes: 0, own: 0, leaks: 0, oracles: 0 };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'inmesh-isolation-'));
  plane = await createControlPlane({
    ports: { secureXds: 0, http: 0 },
    dataDir: folder,
    sources: [createMemorySource(documents)],
    callers: {
      loopback: false,
      oidc: [
        {
          issuer: issuer.issuer,
          jwks: issuer.jwks,
          audiences: ['inmesh'],
          identities: [{ id: 'spiffe://cluster.local/ns/{namespace}/sa/{sub}' }],
        },
      ],
    },
  });
  client = new Client(plane.addresses.secureXds, credentials.createSsl(Buffer.from(plane.rootsPem())));
});

afterAll(async () => {
  client.close();
  await plane.close();
  await rm(folder, { recursive: true });
  console.info(`isolation: ${JSON.stringify(figures)}`);
});

const bytesOf = (value: Buffer) => value;
const ADS = '/envoy.service.discovery.v3.AggregatedDiscoveryService';
const CSDS = '/envoy.service.status.v3.ClientStatusDiscoveryService/FetchClientStatus';
const LRS = '/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats';
const FETCH: Readonly<Record<string, string>> = {
  Cluster: '/envoy.service.cluster.v3.ClusterDiscoveryService/FetchClusters',
  ClusterLoadAssignment: '/envoy.service.endpoint.v3.EndpointDiscoveryService/FetchEndpoints',
  Listener: '/envoy.service.listener.v3.ListenerDiscoveryService/FetchListeners',
  RouteConfiguration: '/envoy.service.route.v3.RouteDiscoveryService/FetchRoutes',
  Secret: '/envoy.service.secret.v3.SecretDiscoveryService/FetchSecrets',
};

/** What something of a namespace could be called. */
function namesIn(namespace: string): string[] {
  const host = `vault.${namespace}.svc.cluster.local`;
  const id = `spiffe://cluster.local/ns/${namespace}/sa/app`;
  return [host, `${host}:80`, `vault.${namespace}:80`, `outbound|80||${host}`, id, `${namespace}/default`];
}

interface Caller {
  readonly index: number;
  readonly metadata: Metadata;
  readonly node: ReturnType<typeof encodeNode>;
}

const nodeIn = (namespace: string) =>
  encodeNode({
    ...nodeOf({ NAMESPACE: namespace, SERVICE_ACCOUNT: 'app' }),
    id: `sidecar~127.0.0.1~app.${namespace}~${namespace}.svc.cluster.local`,
  });

async function callerOf(index: number): Promise<Caller> {
  const namespace = real(index);
  const metadata = new Metadata();
  const token = await issuer.sign({ sub: 'app', namespace, exp: Date.now() / 1000 + 600 });
  metadata.set('authorization', `Bearer ${token}`);
  return { index, metadata, node: nodeIn(namespace) };
}

/** A unary call: its status, and what came. */
function ask(path: string, request: Uint8Array, { metadata }: Caller) {
  return new Promise<{ readonly code: number; readonly details: string; readonly answer: Buffer }>(
    (resolve) => {
      client.makeUnaryRequest(
        path,
        bytesOf,
        bytesOf,
        Buffer.from(request),
        metadata,
        {},
        (error: ServiceError | null, answer?: Buffer) => {
          resolve({
            code: error?.code ?? 0,
            details: error?.details ?? '',
            answer: answer ?? Buffer.alloc(0),
          });
        },
      );
    },
  );
}

/** Everything that a stream sends until it has answered so many requests or ends. */
function stream(path: string, requests: readonly Uint8Array[], { metadata }: Caller) {
  return new Promise<{ readonly code: number | undefined; readonly answers: readonly Buffer[] }>(
    (resolve) => {
      const call = client.makeBidiStreamRequest(path, bytesOf, bytesOf, metadata);
      const answers: Buffer[] = [];
      call.on('data', (bytes: Buffer) => {
        answers.push(bytes);
        if (answers.length < requests.length) return;
        resolve({ code: undefined, answers });
        call.cancel();
      });
      call.on('error', () => {});
      call.on('status', ({ code }) => resolve({ code, answers }));
      for (const request of requests) call.write(Buffer.from(request));
    },
  );
}

/** Notes it when bytes speak of a namespace that is neither the caller's nor one that it named itself. */
function check({ index }: Caller, bytes: Buffer, named: readonly string[] = []): void {
  figures.requests++;
  figures.bytes += bytes.length;
  const own = real(index);
  const text = bytes.toString('latin1');
  for (const [, namespace] of text.matchAll(/(?:vault\.|\/ns\/|app\.|^)(t\d{3})\b/g))
    if (namespace === own) figures.own++;
    else if (!named.includes(namespace ?? '')) figures.leaks++;
}

/** Names of the caller's own, of somebody else, and of nobody. */
const wanted = ({ index }: Caller) => [
  ...namesIn(real(index)),
  ...namesIn(real(index + 37)),
  ...namesIn(absent(index + 37)),
  'default',
  'ROOTCA',
];

async function overSotw(caller: Caller): Promise<void> {
  const sotw = SERVED_TYPES.map(({ typeUrl }) =>
    toBinary(
      discovery.DiscoveryRequestSchema,
      create(discovery.DiscoveryRequestSchema, {
        typeUrl,
        node: caller.node,
        resourceNames: wanted(caller),
      }),
    ),
  );
  for (const answer of (await stream(`${ADS}/StreamAggregatedResources`, sotw, caller)).answers) {
    const response = checkSotw(caller, answer);
    if (refusedOf(response, real(caller.index + 37)) !== refusedOf(response, absent(caller.index + 37)))
      figures.oracles++;
  }
}

/** Names that were asked for come back inside what exists, which is all of the caller's own, and as what there is not. */
function checkSotw(caller: Caller, answer: Buffer): discovery.DiscoveryResponse {
  const response = fromBinary(discovery.DiscoveryResponseSchema, answer);
  for (const { value } of response.resources) check(caller, Buffer.from(value));
  figures.requests++;
  return response;
}

/** What a response says of names of a namespace that the client can not have, without the namespace. */
function refusedOf({ resourceErrors }: discovery.DiscoveryResponse, namespace: string): string {
  return resourceErrors
    .map(({ resourceName, errorDetail }) =>
      JSON.stringify([resourceName?.name, errorDetail?.code, errorDetail?.message]),
    )
    .filter((text) => text.includes(namespace))
    .map((text) => text.replaceAll(namespace, ''))
    .sort()
    .join();
}

async function overDelta(caller: Caller): Promise<void> {
  const delta = SERVED_TYPES.map(({ typeUrl }) =>
    toBinary(
      discovery.DeltaDiscoveryRequestSchema,
      create(discovery.DeltaDiscoveryRequestSchema, {
        typeUrl,
        node: caller.node,
        resourceNamesSubscribe: wanted(caller),
      }),
    ),
  );
  for (const answer of (await stream(`${ADS}/DeltaAggregatedResources`, delta, caller)).answers) {
    const { resources, removedResources } = fromBinary(discovery.DeltaDiscoveryResponseSchema, answer);
    for (const { resource } of resources) check(caller, Buffer.from(resource?.value ?? []));
    // What is forbidden is told exactly as what is absent.
    const gone = (letter: string) =>
      removedResources
        .filter((name) => name.includes(`${letter}${real(caller.index + 37).slice(1)}`))
        .map((name) => name.replaceAll(absent(caller.index + 37), real(caller.index + 37)));
    if (JSON.stringify(gone('t')) !== JSON.stringify(gone('z'))) figures.oracles++;
  }
}

async function overFetch(caller: Caller): Promise<void> {
  for (const { typeUrl } of SERVED_TYPES) {
    const path = FETCH[typeUrl.slice(typeUrl.lastIndexOf('.') + 1)] ?? '';
    const fetchNames = async (namespace: string) => {
      const names = namesIn(namespace);
      const request = create(discovery.DiscoveryRequestSchema, {
        typeUrl,
        node: caller.node,
        resourceNames: [...names],
      });
      const { code, answer } = await ask(path, toBinary(discovery.DiscoveryRequestSchema, request), caller);
      const response = checkSotw(caller, answer);
      const named = response.resources.map(({ value }) => Buffer.from(value).toString('base64'));
      return JSON.stringify([code, response.versionInfo, named, refusedOf(response, namespace)]);
    };
    const [forbidden, missing] = await Promise.all([
      fetchNames(real(caller.index + 37)),
      fetchNames(absent(caller.index + 37)),
    ]);
    if (forbidden !== missing) figures.oracles++;
  }
}

async function overOthers(caller: Caller): Promise<void> {
  const csds = await ask(
    CSDS,
    toBinary(status.ClientStatusRequestSchema, create(status.ClientStatusRequestSchema)),
    caller,
  );
  // Its own streams may be open: what they ask for is told back, as asked for.
  check(caller, csds.answer, [real(caller.index + 37), absent(caller.index + 37)]);
  // Node metadata is never believed against the token, in any service.
  const lie = nodeIn(real(caller.index + 37));
  const nobody = nodeIn(absent(caller.index + 37));
  const [cluster] = SERVED_TYPES;
  const lies = await Promise.all(
    [lie, nobody].flatMap((node) => [
      stream(
        `${ADS}/StreamAggregatedResources`,
        [
          toBinary(
            discovery.DiscoveryRequestSchema,
            create(discovery.DiscoveryRequestSchema, { typeUrl: cluster?.typeUrl ?? '', node }),
          ),
        ],
        caller,
      ),
      stream(
        LRS,
        [toBinary(loadStats.LoadStatsRequestSchema, create(loadStats.LoadStatsRequestSchema, { node }))],
        caller,
      ),
    ]),
  );
  for (const { code, answers } of lies) {
    figures.requests++;
    if (code !== 7 || answers.length > 0) figures.leaks++;
  }
}

async function overAdmin(caller: Caller): Promise<void> {
  // The status API: a workload has no role, and learns nothing of what is there.
  const paths = [
    '/api/config',
    '/api/status',
    '/debug/syncz',
    '/api/workloads',
    `/api/workloads/${real(1)}`,
    '/nothing',
  ];
  const answers = await Promise.all(
    paths.map(async (path) => {
      const authorization = String(caller.metadata.get('authorization')[0]);
      const response = await fetch(`http://${plane.addresses.http}${path}`, { headers: { authorization } });
      const text = await response.text();
      check(caller, Buffer.from(text));
      return `${response.status} ${text}`;
    }),
  );
  if (new Set(answers).size > 1) figures.oracles++;
}

test('100 identities against every type over SotW, delta, unary, CSDS, LRS and admin: nothing of others, nor whether it exists', async () => {
  const callers = await Promise.all(numbers.map(callerOf));
  for (const caller of callers) await overAdmin(caller);
  // All at once: a stream without answers waits 5 s for those of its client before it goes on to the next type.
  await Promise.all(
    callers.flatMap((caller) => [overSotw(caller), overDelta(caller), overFetch(caller), overOthers(caller)]),
  );
  expect(figures).toMatchObject({ leaks: 0, oracles: 0 });
  expect(figures.requests).toBeGreaterThan(COUNT * 25);
  expect(figures.own).toBeGreaterThan(COUNT);
}, 400_000);

test('what belongs to the caller itself does arrive', async () => {
  const caller = await callerOf(5);
  const [cluster] = SERVED_TYPES.filter(({ typeUrl }) => typeUrl.endsWith('.Cluster'));
  const request = create(discovery.DiscoveryRequestSchema, {
    typeUrl: cluster?.typeUrl ?? '',
    node: caller.node,
  });
  const { answer } = await ask(
    FETCH['Cluster'] ?? '',
    toBinary(discovery.DiscoveryRequestSchema, request),
    caller,
  );
  expect(answer.toString('latin1')).toContain('vault.t005');
});
