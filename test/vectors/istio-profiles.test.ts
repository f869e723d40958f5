import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { createCompiler } from '../../src/control-plane/compile/compile.js';
import { DEFAULT_MESH_CONFIG } from '../../src/control-plane/mesh/mesh-config.js';
import { isKindName } from '../../src/control-plane/kinds/kinds.js';
import { createConfigStore } from '../../src/control-plane/store/config-store.js';
import type { NodeMetadata } from '../../src/model/node.js';
import { systemClock } from '../../src/runtime/clock.js';
import { silentLogger } from '../../src/runtime/log.js';
import { nodeOf, registryOf } from '../unit/control-plane/compile/mesh.js';
import { loadValidator } from '../unit/control-plane/compile/validate/pgv.js';
import { wireOf } from '../unit/control-plane/compile/validate/wire.js';

// What Istio accepts comes to resources that keep Envoy's rules, for each kind of client.

const folder = new URL('../../../shared/vectors/istio/', import.meta.url);

interface Vector {
  readonly id: string;
  readonly expect: { readonly valid: boolean };
  readonly resource: {
    readonly kind: string;
    readonly spec?: { readonly selector?: Readonly<Record<string, string>>; readonly hosts?: readonly string[] };
  };
}

const vectors: readonly Vector[] = existsSync(folder)
  ? JSON.parse(readFileSync(new URL('validation.json', folder), 'utf8'))
  : [];

const EDGE = '{"apiVersion":"networking.istio.io/v1","kind":"Gateway","metadata":{"name":"edge"},"spec":{"selector":{"istio":"ingressgateway"},"servers":[{"port":{"number":8080,"name":"http","protocol":"HTTP"},"hosts":["*"]}]}}';

test('published documents compile for every profile, by the rules', () => {
  if (vectors.length === 0) return;
  const validator = loadValidator();
  const problems: string[] = [];
  let compiled = 0;
  for (const { id, expect: verdict, resource } of vectors) {
    if (!verdict.valid || !isKindName(resource.kind)) continue;
    // What is refused is nobody's configuration.
    const store = createConfigStore({ clock: systemClock, logger: silentLogger });
    const content = `${JSON.stringify(resource)}\n---\n${EDGE}`;
    if (!store.propose('vector', { files: [{ file: id, content }] }).accepted) continue;
    compiled++;
    const labels = { istio: 'ingressgateway', ...(resource.kind === 'Gateway' && resource.spec?.selector) };
    const nodes: Partial<NodeMetadata>[] = [
      { GENERATOR: 'inmesh' },
      { GENERATOR: 'grpc' },
      { GENERATOR: 'envoy', INTERCEPTION_MODE: 'NONE', LABELS: labels },
    ];
    for (const metadata of nodes) {
      const set = createCompiler(DEFAULT_MESH_CONFIG).compile(store.current.value, registryOf([]), nodeOf(metadata));
      for (const { type, name, bytes } of wireOf(set)) {
        for (const problem of validator.check(type, bytes)) {
          if (metadata.GENERATOR === 'grpc' && problem.includes('validation_context_sds_secret_config')) continue;
          problems.push(`${id} for ${metadata.GENERATOR}: ${name}: ${problem}`);
        }
      }
    }
  }
  expect(problems).toEqual([]);
  expect(compiled).toBeGreaterThan(20);
});
