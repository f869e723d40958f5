import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeFilter, encodeFilter } from '../../src/codec/filter-config.js';
import { rootPath } from '../../src/codec/path.js';
import { adaptiveConcurrency, admissionControl } from './overload-arbitraries.js';

const ENTRY = { name: 'f', isOptional: false, direction: 'outbound' } as const;

test('filters that shed load: decoding what was encoded gives the model back', () => {
  fc.assert(
    fc.property(fc.oneof(adaptiveConcurrency(), admissionControl()), (config) => {
      expect(decodeFilter(encodeFilter(config), ENTRY, rootPath('LDS l'))).toEqual(config);
    }),
  );
});
