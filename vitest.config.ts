import { defineConfig } from 'vitest/config';

// A worker keeps its modules from file to file (`isolate: false`): loading them anew for each took several times as long
// as the tests. So a test may leave nothing behind in module state.
const named = (name: string) => ({
  extends: true as const,
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    isolate: false,
  },
});

/** Real sockets, processes and clocks, or minutes of virtual time: one file at a time, so that two tests never share a core. */
const slow = (name: string) => ({
  extends: true as const,
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    fileParallelism: false,
    isolate: false,
  },
});

export default defineConfig({
  test: {
    globals: false,
    restoreMocks: true,
    passWithNoTests: true,
    // Time limits are for what hangs: long enough for a machine that is busy with other things.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 20_000 } },
    // Half a megabyte of generated code: load it as Node does instead of transforming it in every worker.
    server: { deps: { external: [/src\/proto\/gen\//] } },
    projects: [
      ...['unit', 'property', 'vectors', 'golden'].map(named),
      ...['shape', 'conformance', 'simulation', 'integration'].map(slow),
    ],
    coverage: { provider: 'v8', include: ['src/**/*.ts'], exclude: ['src/proto/gen/**'] },
  },
});
