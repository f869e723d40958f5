import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createControlPlane, createMemorySource } from '../../../src/control-plane.js';
import { compile, nodeOf } from '../../unit/control-plane/compile/mesh.js';
import { ask, namesOf } from './stock-client.js';

// The stock client of gRPC for Node takes everything that any sample document comes to.

const root = new URL('../../../', import.meta.url);
const vectors = new URL('../../../../shared/vectors/istio/samples/samples/bookinfo/', import.meta.url);
const platform = readFileSync(new URL('examples/bookinfo/config/platform.yaml', root), 'utf8');
const node = nodeOf({ GENERATOR: 'grpc' });

interface Sample {
  readonly name: string;
  readonly text: string;
}

function samplesOf(folder: URL): Sample[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { encoding: 'utf8', recursive: true })
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => ({ name, text: readFileSync(new URL(name, folder), 'utf8') }));
}

const rules = readFileSync(new URL('examples/bookinfo/config/destination-rules.yaml', root), 'utf8');
const subsetsFile = new URL('networking/destination-rule-all.yaml', vectors);
const subsets = existsSync(subsetsFile) ? readFileSync(subsetsFile, 'utf8') : '';
const samples = [
  ...samplesOf(new URL('examples/hello/', root)),
  ...samplesOf(new URL('examples/bookinfo/config/', root)).map(({ name, text }) => ({
    name,
    text:
      name === 'platform.yaml'
        ? text
        : `${platform}\n---\n${/destination-rules/.test(name) ? '' : rules}\n---\n${text}`,
  })),
  ...samplesOf(vectors).map(({ name, text }) => ({
    name: `istio/${name}`,
    text: `${platform}\n---\n${/^kind: DestinationRule/m.test(text) ? '' : subsets}\n---\n${text}`,
  })),
  ...samplesOf(new URL('test/golden/control-plane/documents/', root)),
];

const source = createMemorySource('');
let plane: Awaited<ReturnType<typeof createControlPlane>>;

beforeAll(async () => {
  plane = await createControlPlane({
    ports: { xds: 0, secureXds: 0, http: 0 },
    sources: [source],
    // One configuration takes the place of another.
    massRemoval: false,
    debounceMs: { quietMs: 1, maxMs: 10 },
  });
});

afterAll(() => plane.close());

describe('the stock gRPC client takes every resource of', () => {
  test.each(samples)('$name', async ({ text }) => {
    source.set(text);
    const names = namesOf(compile(text, [], node));
    const verdicts = await ask({ server: plane.addresses.xds }, names);
    const refused = [...verdicts].filter(([, verdict]) => verdict !== 'taken');
    expect(refused).toEqual([]);
    expect(plane.status().clients.filter(({ state }) => state === 'NACKED')).toEqual([]);
  });
});
