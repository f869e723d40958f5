import { expect, test } from 'vitest';
import { SentDocumentsService } from '../../../src/control-plane/files/sent-documents.js';
import { createMeshConfig } from '../../../src/control-plane/mesh/mesh-config.js';
import { snapshotOf } from '../../../src/control-plane/registry/snapshot.js';
import { createConfigStore } from '../../../src/control-plane/store/config-store.js';
import { systemClock } from '../../../src/runtime/clock.js';
import { silentLogger } from '../../../src/runtime/log.js';

const FILES = 20;

function text(name: string): string {
  return `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ${name}}
spec: {hosts: [${name}], http: [{route: [{destination: {host: nobody}}]}]}
`;
}

/** How often the event loop came round while a promise was waited for. */
async function turnsDuring<T>(work: () => Promise<T>): Promise<number> {
  let turns = 0;
  let next: NodeJS.Immediate | undefined;
  const count = () => {
    turns++;
    next = setImmediate(count);
  };
  next = setImmediate(count);
  await work();
  clearImmediate(next);
  return turns;
}

test.each([false, true])(
  'clients are served while documents are analyzed (with what is stored: %s)',
  async (withStored) => {
    const store = createConfigStore({ clock: systemClock, logger: silentLogger }, { allowUnsupported: true });
    const kept = Array.from({ length: FILES }, (_, index) => ({
      file: `k${index}.yaml`,
      content: text(`k${index}`),
    }));
    store.propose('kept', { files: kept });
    const service = new SentDocumentsService({
      store,
      registry: () => snapshotOf([]),
      config: createMeshConfig({}),
      clock: systemClock,
    });
    const files = Array.from({ length: FILES }, (_, index) => ({
      file: `a${index}.yaml`,
      content: text(`a${index}`),
    }));
    const turns = await turnsDuring(() => service.analyze({ input: { files }, withStored }, {}));
    // Each text is opened, read and checked in a turn of its own.
    expect(turns).toBeGreaterThanOrEqual((withStored ? 2 : 1) * 3 * FILES);
  },
);
