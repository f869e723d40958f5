import { fromBinary, toBinary } from '@bufbuild/protobuf';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ResourceType } from '../../src/codec/codec.js';
import { FILTER_EXTENSION } from '../../src/codec/filter-extension.js';
import { decodeNode, encodeNode } from '../../src/codec/node.js';
import {
  CLUSTER,
  CLUSTER_LOAD_ASSIGNMENT,
  LISTENER,
  ROUTE_CONFIGURATION,
} from '../../src/codec/resource-types.js';
import { SECRET } from '../../src/codec/secret.js';
import { core } from '../../src/proto/xds.js';
import { MeshError } from '../../src/runtime/errors.js';
import * as arbitrary from './arbitraries.js';

interface Subject<T> {
  readonly type: ResourceType<T>;
  readonly models: fc.Arbitrary<T>;
  readonly nameOf: (model: T) => string;
}

function check<T>({ type, models, nameOf }: Subject<T>): void {
  describe(`the codec of ${type.short}`, () => {
    test('decoding what was encoded gives the model back', () => {
      fc.assert(
        fc.property(models, (model) => {
          expect(type.decode(type.encode(model))).toEqual({ name: nameOf(model), resource: model });
        }),
        { numRuns: 150 },
      );
    });

    test('arbitrary bytes decode or throw a MeshError', () => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => decodesOrRefuses(type, bytes)),
        { numRuns: 300 },
      );
    });

    test('damaged bytes of a valid resource decode or throw a MeshError', () => {
      const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 });
      fc.assert(
        fc.property(models, damage, fc.nat(), (model, changes, cut) => {
          const bytes = type.encode(model).slice();
          for (const [position, value] of changes) bytes[position % bytes.length] = value;
          return (
            decodesOrRefuses(type, bytes) && decodesOrRefuses(type, bytes.subarray(0, cut % bytes.length))
          );
        }),
        { numRuns: 200 },
      );
    });
  });
}

function decodesOrRefuses(type: ResourceType<unknown>, bytes: Uint8Array): boolean {
  try {
    type.decode(bytes);
    return true;
  } catch (error) {
    if (error instanceof MeshError && error.code === 'INMESH_XDS_DECODE') return true;
    throw error;
  }
}

check({ type: LISTENER, models: arbitrary.listener(), nameOf: ({ name }) => name });
check({ type: FILTER_EXTENSION, models: arbitrary.filterExtension(), nameOf: ({ name }) => name });
check({ type: SECRET, models: arbitrary.namedSecret(), nameOf: ({ name }) => name });
check({ type: ROUTE_CONFIGURATION, models: arbitrary.routeConfiguration(), nameOf: ({ name }) => name });
check({ type: CLUSTER, models: arbitrary.cluster(), nameOf: ({ name }) => name });
check({
  type: CLUSTER_LOAD_ASSIGNMENT,
  models: arbitrary.clusterLoadAssignment(
    fc.option(fc.integer({ min: 1, max: 1_000_000 }), { nil: undefined }),
  ),
  nameOf: ({ clusterName }) => clusterName,
});

test('a node that was encoded decodes to the same node', () => {
  fc.assert(
    fc.property(arbitrary.node(), (node) => {
      const bytes = toBinary(core.NodeSchema, encodeNode(node));
      expect(decodeNode(fromBinary(core.NodeSchema, bytes))).toEqual(node);
    }),
  );
});
