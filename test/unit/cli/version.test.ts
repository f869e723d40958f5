import { expect, test } from 'vitest';
import { skewWarning } from '../../../src/cli/version.js';

test.each([
  ['1.4.0', '1.4.7', undefined],
  ['1.4.0', '1.5.0', undefined],
  ['1.4.0-rc.1', '1.3.9', undefined],
  ['1.4.0', '1.6.0', 'Update this program'],
  ['1.4.0', '1.2.9', 'Update the control plane'],
  ['1.9.0', '2.0.0', 'Update this program'],
  ['1.4.0', 'a build', undefined],
])('of %s and %s', (client, controlPlane, warning) => {
  const told = skewWarning(client, controlPlane);
  if (warning === undefined) expect(told).toBeUndefined();
  else expect(told).toContain(warning);
});
