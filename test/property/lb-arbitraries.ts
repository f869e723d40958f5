import fc from 'fast-check';
import type { EndpointHealth } from '../../src/model/endpoint.js';
import type {
  ChildPolicy,
  OverrideHostPolicy,
  PickFirstPolicy,
  SubsetPolicy,
  SubsetSelector,
} from '../../src/model/lb-policy.js';
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

/** PickFirstPolicy. */
export const pickFirstPolicy = (): fc.Arbitrary<PickFirstPolicy> =>
  fc.record({
    kind: fc.constant('pick-first' as const),
    shuffle: fc.boolean(),
    locality: fc.option(fc.constant({ kind: 'weighted' as const }), { nil: undefined }),
  });

const metadataPath = () =>
  fc.record({
    namespace: fc.constantFrom('envoy.lb', 'constructor'),
    keys: fc.array(fc.constantFrom('a', '__proto__'), { minLength: 1, maxLength: 2 }),
  });

/** OverrideHostPolicy around some other. */
export const overrideHostPolicy = (child: fc.Arbitrary<ChildPolicy>): fc.Arbitrary<OverrideHostPolicy> =>
  fc.record({
    kind: fc.constant('override-host' as const),
    sources: fc.array(
      fc.oneof(
        fc.record({ kind: fc.constant('header' as const), name: fc.constantFrom('x-to', 'constructor') }),
        fc.record({ kind: fc.constant('metadata' as const), path: metadataPath() }),
      ),
      { minLength: 1, maxLength: 3 },
    ),
    selectedHostKey: fc.option(metadataPath(), { nil: undefined }),
    child,
  });

/** `override_host_status`. */
export const overrideHostStatuses = (): fc.Arbitrary<readonly EndpointHealth[] | undefined> =>
  fc.option(
    fc.uniqueArray(
      fc.constantFrom<EndpointHealth>('unknown', 'healthy', 'unhealthy', 'draining', 'timeout', 'degraded'),
    ),
    { nil: undefined },
  );
