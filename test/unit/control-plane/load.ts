import { formatViolation } from '../../../src/control-plane/schema/format.js';
import type { Violation } from '../../../src/control-plane/schema/violation.js';
import {
  type ConfigStore,
  type ConfigStoreOptions,
  createConfigStore,
} from '../../../src/control-plane/store/config-store.js';
import { silentLogger } from '../../../src/runtime/log.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';

/** A store on a clock that stands still. */
export function newStore(options: ConfigStoreOptions = {}): ConfigStore {
  return createConfigStore({ clock: createFakeClock(), logger: silentLogger }, options);
}

/** What is wrong with one text, as if it were the file `mesh.yaml`. */
export function violationsOf(
  content: string | Uint8Array,
  options: ConfigStoreOptions = {},
): readonly Violation[] {
  return newStore(options).propose('files', { files: [{ file: 'mesh.yaml', content }] }).violations;
}

/** The complaints about one text, one line each: `line:column CODE message (did you mean "x"?)`. */
export function complaintsAbout(content: string, options: ConfigStoreOptions = {}): readonly string[] {
  return violationsOf(content, options).map((violation) => {
    const [head = ''] = formatViolation(violation).split('\n');
    return head.replace(/^mesh\.yaml:/, '');
  });
}

/** A VirtualService with the given lines below `spec.http[0]` and a destination. */
export function routeWith(...lines: readonly string[]): string {
  return `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
spec:
  hosts: [reviews]
  http:
  - route:
    - destination:
        host: reviews
${lines.map((line) => `    ${line}`).join('\n')}
`;
}

/** A DestinationRule for reviews with the given lines below `spec`. */
export function ruleWith(...lines: readonly string[]): string {
  return `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: reviews
spec:
  host: reviews
${lines.map((line) => `  ${line}`).join('\n')}
`;
}
