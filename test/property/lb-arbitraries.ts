import fc from 'fast-check';
import type { ChildPolicy, SubsetPolicy, SubsetSelector } from '../../src/model/lb-policy.js';
import type { MetadataStruct } from '../../src/model/metadata.js';

const KEYS = ['constructor', 'stage', 'version'] as const;

const keys = (minLength: number) =>
  fc.uniqueArray(fc.constantFrom(...KEYS), { minLength }).map((some) => some.toSorted());

const selector = (): fc.Arbitrary<SubsetSelector> =>
  fc.oneof(
    fc.record({
      keys: keys(1),
      fallback: fc.constantFrom(
        undefined,
        'none' as const,
        'any-endpoint' as const,
        'default-subset' as const,
      ),
      fallbackKeys: fc.constant([]),
      singleHostPerSubset: fc.boolean(),
    }),
    fc.record({
      keys: keys(3),
      fallback: fc.constant('keys-subset' as const),
      fallbackKeys: keys(1).map((some) => some.slice(0, 2)),
      singleHostPerSubset: fc.boolean(),
    }),
  );

/** SubsetPolicy around some other. */
export const subsetPolicy = (
  child: fc.Arbitrary<ChildPolicy>,
  defaultSubset: fc.Arbitrary<MetadataStruct>,
): fc.Arbitrary<SubsetPolicy> =>
  fc.record({
    kind: fc.constant('subset' as const),
    fallback: fc.constantFrom('none' as const, 'any-endpoint' as const, 'default-subset' as const),
    defaultSubset,
    selectors: fc.array(selector(), { maxLength: 3 }),
    localityWeightAware: fc.boolean(),
    scaleLocalityWeight: fc.boolean(),
    panicModeAny: fc.boolean(),
    listAsAny: fc.boolean(),
    fallbackList: fc.boolean(),
    allowRedundantKeys: fc.boolean(),
    child,
  });
