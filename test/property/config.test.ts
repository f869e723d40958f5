import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatViolations } from '../../src/control-plane/schema/format.js';
import { createConfigStore } from '../../src/control-plane/store/config-store.js';
import { silentLogger } from '../../src/runtime/log.js';
import { createFakeClock } from '../../src/testing/fake-clock.js';

const tools = { clock: createFakeClock(), logger: silentLogger };

const PIECES = [
  'apiVersion: networking.istio.io/v1\n',
  'kind: VirtualService\n',
  'kind: List\nitems:\n',
  'metadata: {name: a}\n',
  'spec:\n',
  '  hosts: [a]\n',
  '  http:\n',
  '  - route:\n',
  '    - destination: {host: a, subset: v1}\n',
  '      weight: 1e400\n',
  '    timeout: ',
  '1s\n',
  '---\n',
  '...\n',
  '- ',
  '&a ',
  '*a ',
  '? ',
  ': ',
  '[',
  ']',
  '{',
  '}',
  '"',
  "'",
  '|\n ',
  '>\n ',
  '!!str ',
  '%YAML 1.2\n',
  '#',
  '\t',
  '\r\n',
  '<<: ',
  '__proto__: ',
  'constructor: ',
  '\u{1F600}',
  '\uFEFF',
];

const text = fc.oneof(
  fc.array(fc.constantFrom(...PIECES), { maxLength: 30 }).map((pieces) => pieces.join('')),
  fc.string({ unit: 'binary', maxLength: 200 }),
  fc.json().map((json) => `{"kind": "DestinationRule", "spec": ${json}}`),
);

test('any text gives a view or violations with places in it, never a crash', () => {
  fc.assert(
    fc.property(text, (content) => {
      const store = createConfigStore(tools);
      const result = store.propose('any', { files: [{ file: 'any.yaml', content }] });
      if (result.accepted) expect(store.current.value.revision).toBe(result.revision);
      else expect(result.violations.length).toBeGreaterThan(0);
      const lines = content.split('\n').length;
      for (const { origin } of result.violations) {
        expect(origin.line).toBeGreaterThanOrEqual(1);
        expect(origin.line).toBeLessThanOrEqual(lines);
        expect(origin.column).toBeGreaterThanOrEqual(1);
      }
      formatViolations(result.violations);
      expect(Object.prototype).not.toHaveProperty('polluted');
    }),
    { numRuns: 500 },
  );
});

test('any bytes give a view or violations', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (content) => {
      const store = createConfigStore(tools);
      const result = store.propose('any', { files: [{ file: 'any.yaml', content }] });
      expect(result.accepted || result.violations.length > 0).toBe(true);
    }),
  );
});

test('a good configuration survives whatever is proposed after it', () => {
  const good = 'apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 80}]}\n';
  fc.assert(
    fc.property(fc.array(text, { minLength: 1, maxLength: 5 }), (proposals) => {
      const store = createConfigStore(tools);
      store.propose('any', { files: [{ file: 'any.yaml', content: good }] });
      for (const content of proposals) {
        const before = store.current.value;
        const { accepted } = store.propose('any', { files: [{ file: 'any.yaml', content }] });
        if (!accepted) expect(store.current.value).toBe(before);
      }
    }),
    { numRuns: 100 },
  );
});
