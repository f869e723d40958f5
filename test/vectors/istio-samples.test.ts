import { existsSync, readdirSync, readFileSync } from 'node:fs';
import type { JsonValue } from '@bufbuild/protobuf';
import { expect } from 'vitest';
import { CLUSTER, CLUSTER_LOAD_ASSIGNMENT, LISTENER, ROUTE_CONFIGURATION } from '../../src/codec/resource-types.js';
import { compileFor, validateDocuments } from '../../src/control-plane.js';
import { formatViolations } from '../../src/control-plane/schema/format.js';
import { wire } from '../unit/codec/wire.js';
import { hasVectors, vectorFolder, vectorSuite } from './score.js';

// Every sample document, each by itself as somebody would try it: valid, compiled for every kind of client, and what the SDK
// receives of it is taken by its own codec. What gRPC's stock client takes is seen by an integration test.

interface Sample {
  readonly name: string;
  readonly text: string;
}

function samplesIn(folder: URL): readonly Sample[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile() && /\.ya?ml$/.test(one.name))
    .map((one) => `${one.parentPath}/${one.name}`)
    .sort()
    .map((path) => ({ name: path.split('/').slice(-2).join('/'), text: readFileSync(path, 'utf8') }));
}

const FOLDER = 'istio/samples/';
const samples = [
  ...(hasVectors ? samplesIn(new URL(FOLDER, vectorFolder)) : []),
  ...samplesIn(new URL('../../examples/bookinfo/config/', import.meta.url)),
  ...samplesIn(new URL('../../examples/hello/', import.meta.url)),
];

const TYPES = {
  listeners: LISTENER,
  routes: ROUTE_CONFIGURATION,
  clusters: CLUSTER,
  endpoints: CLUSTER_LOAD_ASSIGNMENT,
} as const;

vectorSuite({
  file: `${FOLDER}**`,
  cases: samples,
  title: ({ name }) => name,
  run({ name, text }) {
    const input = { files: [{ file: name, content: text }] };
    const errors = validateDocuments(input).violations.filter(({ severity }) => severity === 'error');
    expect(errors.length, formatViolations(errors)).toBe(0);
    for (const profile of ['sdk', 'grpc', 'envoy'] as const) {
      const result = compileFor(input, { profile, labels: { istio: 'ingressgateway' } });
      if (!result.accepted) throw new Error(`${profile}: ${formatViolations(result.violations)}`);
      if (profile !== 'sdk') continue;
      for (const kind of ['listeners', 'routes', 'clusters', 'endpoints'] as const) {
        for (const json of result.resources[kind]) TYPES[kind].decode(wire(TYPES[kind], withoutType(json)));
      }
    }
  },
});

function withoutType(json: JsonValue): JsonValue {
  const { '@type': _type, ...rest } = json as Readonly<Record<string, JsonValue>>;
  return rest;
}
