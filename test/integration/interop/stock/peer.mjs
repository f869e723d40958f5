// A process with the stock grpc-js-xds in it: takes commands as lines of JSON, answers in lines of JSON.
import { createInterface } from 'node:readline';
import * as grpc from '@grpc/grpc-js';
import * as xds from '@grpc/grpc-js-xds';

xds.register();

const bytes = (value) => Buffer.from(value);
const SAY = {
  path: '/interop.Echo/Say',
  requestStream: false,
  responseStream: false,
  requestSerialize: bytes,
  requestDeserialize: bytes,
  responseSerialize: bytes,
  responseDeserialize: bytes,
};
const OTHER = { ...SAY, path: '/interop.Echo/Other' };

const clients = new Map();
const servers = new Map();

function credentials({ mtls = false }) {
  const insecure = grpc.credentials.createInsecure();
  return mtls ? new xds.XdsChannelCredentials(insecure) : insecure;
}

function clientOf(target, options) {
  const key = JSON.stringify([target, options.mtls === true, options.fresh ?? '']);
  let client = clients.get(key);
  if (client === undefined) {
    client = new grpc.Client(target, credentials(options), options.channel ?? {});
    clients.set(key, client);
  }
  return client;
}

function callOnce(client, { method = 'Say', metadata = {}, deadlineMs = 15_000, waitForReady = false }) {
  const sent = new grpc.Metadata({ waitForReady });
  for (const [key, value] of Object.entries(metadata)) sent.set(key, value);
  const begin = performance.now();
  const path = method === 'Say' ? SAY.path : OTHER.path;
  return new Promise((resolve) => {
    let peer;
    const call = client.makeUnaryRequest(
      path,
      bytes,
      bytes,
      'hello',
      sent,
      { deadline: Date.now() + deadlineMs },
      (error, answer) => {
        peer = call.getPeer();
        const ms = performance.now() - begin;
        resolve(
          error === null
            ? { code: 0, name: String(answer), ms, peer }
            : { code: error.code, name: error.details, ms, peer },
        );
      },
    );
  });
}

async function calls({ target, count = 1, parallel = 1, ...options }) {
  const client = clientOf(target, options);
  const results = [];
  let started = 0;
  const worker = async () => {
    while (started < count) {
      started++;
      results.push(await callOnce(client, options));
    }
  };
  await Promise.all(Array.from({ length: Math.min(parallel, count) }, worker));
  return results;
}

function serve({ name, address, mtls = false }) {
  const server = new xds.XdsServer();
  const say = (call, callback) => {
    callback(null, `${name} ${call.metadata.get('x-say').join()}`.trim());
  };
  server.addService({ Say: SAY, Other: OTHER }, { Say: say, Other: say });
  const insecure = grpc.ServerCredentials.createInsecure();
  servers.set(address, server);
  return new Promise((resolve, reject) => {
    server.bindAsync(address, mtls ? new xds.XdsServerCredentials(insecure) : insecure, (error, port) => {
      if (error === null) resolve(port);
      else reject(error);
    });
  });
}

const COMMANDS = {
  calls,
  serve,
  close({ target }) {
    for (const [key, client] of clients) {
      if (JSON.parse(key)[0] !== target) continue;
      client.close();
      clients.delete(key);
    }
  },
  stop({ address }) {
    servers.get(address)?.forceShutdown();
  },
};

async function carryOut(line) {
  const { id, op, ...rest } = JSON.parse(line);
  try {
    process.stdout.write(`${JSON.stringify({ id, value: (await COMMANDS[op](rest)) ?? null })}\n`);
  } catch (error) {
    process.stdout.write(`${JSON.stringify({ id, error: String(error?.stack ?? error) })}\n`);
  }
}

createInterface({ input: process.stdin })
  .on('line', (line) => void carryOut(line))
  .on('close', () => process.exit(0));
