import { describe, expect, test } from 'vitest';
import { CLUSTER, CLUSTER_LOAD_ASSIGNMENT, LISTENER } from '../../../src/codec/resource-types.js';
import { MeshError } from '../../../src/runtime/errors.js';
import { keepsValue } from '../../../src/xds/data-errors.js';
import type { DecodableType, ResourceChange } from '../../../src/xds/protocol.js';
import { type ServerFeatures, xdsServer } from '../../../src/xds/server.js';

const error = new MeshError('INMESH_XDS_DECODE', 'wrong');
const removed = (type: DecodableType): ResourceChange => ({ kind: 'removed', type, name: 'a' });
const rejected = (type: DecodableType): ResourceChange => ({
  kind: 'rejected',
  type,
  name: 'a',
  version: '',
  bytes: new Uint8Array(),
  error,
});
const failed = (type: DecodableType, code: number): ResourceChange => ({
  kind: 'failed',
  type,
  name: 'a',
  code,
  error,
});
const features = (some: Partial<ServerFeatures>) => xdsServer({ target: 'a:1', features: some }).features;

describe('a value that is held', () => {
  test.each([
    ['a removed listener goes', removed(LISTENER), {}, false],
    [
      'a removed cluster stays with ignore_resource_deletion',
      removed(CLUSTER),
      { ignoreResourceDeletion: true },
      true,
    ],
    ['removed endpoints stay until nothing refers to them', removed(CLUSTER_LOAD_ASSIGNMENT), {}, true],
    ['a refusal changes nothing', rejected(CLUSTER), {}, true],
    ['an error changes nothing', failed(CLUSTER, 5), {}, true],
    ['fail_on_data_errors: a refusal takes it', rejected(CLUSTER), { failOnDataErrors: true }, false],
    [
      'fail_on_data_errors: a removal takes it, whatever is to be ignored',
      removed(CLUSTER),
      { failOnDataErrors: true, ignoreResourceDeletion: true },
      false,
    ],
    [
      'fail_on_data_errors: endpoints go',
      removed(CLUSTER_LOAD_ASSIGNMENT),
      { failOnDataErrors: true },
      false,
    ],
    ['fail_on_data_errors: NOT_FOUND takes it', failed(CLUSTER, 5), { failOnDataErrors: true }, false],
    [
      'fail_on_data_errors: PERMISSION_DENIED takes it',
      failed(CLUSTER, 7),
      { failOnDataErrors: true },
      false,
    ],
    ['fail_on_data_errors: INTERNAL is passing', failed(CLUSTER, 13), { failOnDataErrors: true }, true],
  ] as const)('%s', (_, change, some, isKept) => {
    expect(keepsValue(change, features(some))).toBe(isKept);
  });
});
