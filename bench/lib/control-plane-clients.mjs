// All the clients of bench/control-plane.mjs: streams that ask for everything and accept whatever comes, reading no more
// of it than type and nonce.
import { Client, credentials } from '@grpc/grpc-js';

const same = (bytes) => bytes;
const ADS = '/envoy.service.discovery.v3.AggregatedDiscoveryService';
let inner;
let target;
let kind;
const streams = [];
const servers = [];
let answered = () => {};

process.on('message', async (message) => {
  process.send(await handle(message));
});

async function handle(message) {
  switch (message.kind) {
    case 'start':
      inner = await import(message.bundle);
      target = message.target;
      return {};
    case 'serve':
      return serve(message);
    case 'connect':
      kind = message;
      return timed(() => connectAll());
    case 'change':
      return timed(() => change(message.round));
    default:
      for (const { client, stream } of streams.splice(0)) {
        stream.cancel();
        client.close();
      }
      return timed(() => connectAll());
  }
}

async function timed(act) {
  const begin = performance.now();
  await act();
  return { ms: performance.now() - begin };
}

function node(id, workloads) {
  return inner.encodeNode({
    id: `sidecar~127.0.0.1~${id}.default~default.svc.cluster.local`,
    cluster: 'bench.default',
    locality: { region: '', zone: '', subZone: '' },
    metadata: {
      NAMESPACE: 'default',
      SERVICE_ACCOUNT: 'default',
      LABELS: {},
      INSTANCE_IPS: '127.0.0.1',
      GENERATOR: 'inmesh',
      ...(workloads && { INMESH_WORKLOADS: workloads }),
    },
  });
}

/** Streams that register endpoints: ten services each. */
async function serve({ services, per }) {
  for (let first = 0; first < services; first += 10) {
    const client = new Client(target, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 });
    const stream = client.makeBidiStreamRequest(`${ADS}/StreamAggregatedResources`, same, same);
    const workloads = [];
    for (let service = first; service < Math.min(services, first + 10); service++) {
      for (let at = 0; at < per; at++) workloads.push(workloadOf(service, at, 8080));
    }
    const server = { stream, client, id: `server${first}`, workloads };
    servers.push(server);
    const came = new Promise((resolve) => stream.once('data', resolve));
    stream.on('error', () => {});
    stream.on('data', (bytes) => {
      const { type, nonce, version } = headOf(bytes);
      const names = { typeUrl: type, resourceNames: ['none'] };
      stream.write(encoded('sotw', { ...names, responseNonce: nonce, versionInfo: version }));
    });
    say(server);
    await came;
  }
  return {};
}

function workloadOf(service, at, port) {
  const address = `10.${(service >> 8) & 255}.${service & 255}.${(at % 250) + 1}`;
  return {
    service: `s${service}`,
    address,
    port: port + Math.floor(at / 250),
    portName: '',
    tlsMode: 'istio',
  };
}

function say({ stream, id, workloads }) {
  const message = inner.create(inner.discovery.DiscoveryRequestSchema, {
    typeUrl: inner.ROUTE_CONFIGURATION.typeUrl,
    resourceNames: ['none'],
  });
  message.node = node(id, workloads);
  stream.write(Buffer.from(inner.toBinary(inner.discovery.DiscoveryRequestSchema, message)));
}

/** One endpoint gets another port; done when every client accepted a response. */
function change(round) {
  const [server] = servers;
  const left = new Set(streams);
  const done = new Promise((resolve) => {
    answered = (stream, type) => {
      if (type !== inner.CLUSTER_LOAD_ASSIGNMENT.typeUrl) return;
      left.delete(stream);
      if (left.size === 0) resolve();
    };
  });
  server.workloads[0] = { ...server.workloads[0], port: 9000 + round };
  say(server);
  return done;
}

async function connectAll() {
  const { clients, services, protocol } = kind;
  const names = Array.from({ length: services }, (_, at) => `outbound|80||s${at}.default.svc.cluster.local`);
  const plans = [
    [inner.CLUSTER.typeUrl, []],
    [inner.CLUSTER_LOAD_ASSIGNMENT.typeUrl, names],
    [inner.LISTENER.typeUrl, []],
    [inner.ROUTE_CONFIGURATION.typeUrl, names],
  ];
  let open = clients;
  await new Promise((resolve) => {
    for (let at = 0; at < clients; at++) {
      streams.push(connect(at, protocol, plans, () => --open === 0 && resolve()));
    }
  });
}

function connect(at, protocol, plans, onSynced) {
  const client = new Client(target, credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
    'grpc.max_receive_message_length': -1,
  });
  const method = protocol === 'delta' ? 'DeltaAggregatedResources' : 'StreamAggregatedResources';
  const stream = client.makeBidiStreamRequest(`${ADS}/${method}`, same, same);
  const entry = { client, stream };
  const missing = new Set(plans.map(([type]) => type));
  const requests = new Map(plans.map(([type, names]) => [type, requestOf(protocol, type, names)]));
  stream.on('error', () => {});
  stream.on('data', (bytes) => {
    const { type, nonce, version } = headOf(bytes);
    stream.write(ackOf(protocol, requests.get(type), { type, nonce, version }));
    answered(entry, type);
    if (missing.delete(type) && missing.size === 0) onSynced();
  });
  let isFirst = true;
  for (const bytes of requests.values()) {
    stream.write(isFirst ? Buffer.concat([bytes, nodeBytes(protocol, at)]) : bytes);
    isFirst = false;
  }
  return entry;
}

const schemaOf = (protocol) =>
  protocol === 'delta' ? inner.discovery.DeltaDiscoveryRequestSchema : inner.discovery.DiscoveryRequestSchema;

const made = new Map();

/** The first request of a type; encoded once for all clients. */
function requestOf(protocol, typeUrl, names) {
  const key = `${protocol} ${typeUrl} ${names.length}`;
  let bytes = made.get(key);
  if (bytes === undefined) {
    const fields = protocol === 'delta' ? { resourceNamesSubscribe: names } : { resourceNames: names };
    bytes = encoded(protocol, { typeUrl, ...fields });
    made.set(key, bytes);
  }
  return bytes;
}

/** Fields of messages may be concatenated. */
function ackOf(protocol, request, { type, nonce, version }) {
  if (protocol === 'delta') return encoded(protocol, { typeUrl: type, responseNonce: nonce });
  return Buffer.concat([request, encoded(protocol, { responseNonce: nonce, versionInfo: version })]);
}

function nodeBytes(protocol, at) {
  const message = inner.create(schemaOf(protocol), {});
  message.node = node(`client${at}`);
  return Buffer.from(inner.toBinary(schemaOf(protocol), message));
}

function encoded(protocol, fields) {
  return Buffer.from(inner.toBinary(schemaOf(protocol), inner.create(schemaOf(protocol), fields)));
}

/** Version, type and nonce have the same numbers in both kinds of response. */
function headOf(bytes) {
  const reader = new inner.BinaryReader(bytes);
  const head = {};
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === 1) head.version = reader.string();
    else if (field === 4) head.type = reader.string();
    else if (field === 5) head.nonce = reader.string();
    else reader.skip(wireType, field);
  }
  return head;
}
