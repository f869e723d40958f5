import { create, toBinary } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { decodeLoadReport } from '../../../src/codec/load-report.js';
import { decodeLoadWish } from '../../../src/codec/load-stats.js';
import { RESOURCE_TYPES } from '../../../src/codec/resource-types.js';
import { SECRET } from '../../../src/codec/secret.js';
import {
  DeltaConversation,
  type SharedTables,
  SotwConversation,
} from '../../../src/control-plane/serve/conversation.js';
import { InterestTable } from '../../../src/control-plane/serve/interest.js';
import { NameListTable } from '../../../src/control-plane/serve/name-list.js';
import { ResourceEncoder } from '../../../src/control-plane/serve/resources.js';
import { SnapshotTable } from '../../../src/control-plane/serve/type-snapshot.js';
import {
  readJwtBundles,
  readX509Bundles,
  readX509Context,
} from '../../../src/identity/workload-api/messages.js';
import { packAny } from '../../../src/proto/any.js';
import { readMessage } from '../../../src/proto/read-message.js';
import {
  discovery,
  istioCa,
  listener,
  loadStats,
  networkRbac,
  rbac,
  route,
  status,
} from '../../../src/proto/xds.js';
import { decodeDeltaResponse } from '../../../src/xds/delta-messages.js';
import { decodeResponse } from '../../../src/xds/sotw-messages.js';
import { unpackAny } from '../../../src/xds/unpack.js';
import { withinCpuMs } from '../../vectors/cpu-time.js';

/** Bytes that nobody with good intentions sends, to everything here that reads protobuf from others. */

const varint = (value: number): number[] => {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  return [...bytes, rest];
};

/** A field of bytes. */
const field = (number: number, value: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from([...varint(number * 8 + 2), ...varint(value.length)]), value]);

/** Messages in messages, each as the same field of the one around it. */
function nested(number: number, levels: number, innermost: Uint8Array = Buffer.alloc(0)): Buffer {
  const heads: Buffer[] = [];
  let length = innermost.length;
  for (let level = 0; level < levels; level++) {
    const head = Buffer.from([...varint(number * 8 + 2), ...varint(length)]);
    heads.push(head);
    length += head.length;
  }
  return Buffer.concat([...heads.reverse(), innermost]);
}

const times = (count: number, bytes: readonly number[]) =>
  Buffer.alloc(count * bytes.length, Buffer.from(bytes));
const FIELDS = [1, 2, 3, 4, 5, 6, 7, 10];

const HOSTILE: Readonly<Record<string, readonly Uint8Array[]>> = {
  'groups in groups': [times(100_000, [0x0b]), times(100_000, [0xfb, 0x01])],
  'messages in messages': FIELDS.map((number) => nested(number, 20_000)),
  'lengths beyond the end': FIELDS.flatMap((number) =>
    [[0xff, 0xff, 0xff, 0xff, 0x0f], [0xff, 0xff, 0xff, 0xff, 0x07], [0x7f]].map((length) =>
      Buffer.from([number * 8 + 2, ...length, 0x61]),
    ),
  ),
  'numbers without an end': FIELDS.map((number) => Buffer.from([number * 8, ...times(12, [0xff])])),
  'field numbers that are none': [Buffer.from([0x00, 0x00]), Buffer.from([0x02, 0x00]), times(10, [0x07])],
  'an end of a group that never began': [Buffer.from([0x0c])],
  'text that is no UTF-8': FIELDS.map((number) => field(number, Buffer.from([0xc0, 0x80, 0xff]))),
  'fields of the wrong type': FIELDS.map((number) => Buffer.from([number * 8 + 5, 1, 2, 3, 4])),
  'many unknown fields': [times(300_000, [0xf8, 0x7f, 0x00])],
  'the same field ten thousand times': FIELDS.map((number) => times(10_000, [number * 8 + 2, 0])),
};

const tables: SharedTables = {
  snapshots: new SnapshotTable(new ResourceEncoder()),
  interests: new InterestTable(),
  nameLists: new NameListTable(),
};

const READERS: Readonly<Record<string, (bytes: Uint8Array) => unknown>> = {
  ...Object.fromEntries(
    [...RESOURCE_TYPES, SECRET].map((type) => [`the client: ${type.short}`, (bytes) => type.decode(bytes)]),
  ),
  'the client: DiscoveryResponse': (bytes) =>
    decodeResponse(bytes).resources.map((any) => unpackAny(any, RESOURCE_TYPES[0].typeUrl)),
  'the client: DeltaDiscoveryResponse': decodeDeltaResponse,
  'the client: LoadStatsResponse': decodeLoadWish,
  'the client: ORCA': decodeLoadReport,
  'the client: Workload API': (bytes) =>
    [readX509Context, readX509Bundles, readJwtBundles].map((read) => read(bytes)),
  'the server: DiscoveryRequest': (bytes) => new SotwConversation(tables).read(bytes),
  'the server: DeltaDiscoveryRequest': (bytes) => new DeltaConversation(tables).read(bytes),
  'the server: LoadStatsRequest': (bytes) => readMessage(loadStats.LoadStatsRequestSchema, bytes),
  'the server: ClientStatusRequest': (bytes) => readMessage(status.ClientStatusRequestSchema, bytes),
  'the server: IstioCertificateRequest': (bytes) => readMessage(istioCa.IstioCertificateRequestSchema, bytes),
};

function thrownBy(run: () => unknown): unknown {
  try {
    run();
    return undefined;
  } catch (error) {
    return error;
  }
}

describe.each(Object.entries(READERS))('%s', (_reader, read) => {
  test.each(Object.entries(HOSTILE))('given %s refuses or reads it, at once', async (_what, inputs) => {
    for (const bytes of inputs) {
      const error = await withinCpuMs(1000, () => thrownBy(() => read(bytes)));
      // The stack never overflows: whether that can be caught depends on who calls.
      expect(String(error)).not.toMatch(/call stack/);
      if (error !== undefined) expect(error).toBeInstanceOf(Error);
    }
  });
});

describe('what is well-formed and too deep', () => {
  const deepRule = (levels: number): rbac.Permission => {
    let rule = create(rbac.PermissionSchema, { rule: { case: 'any', value: true } });
    for (let level = 0; level < levels; level++)
      rule = create(rbac.PermissionSchema, { rule: { case: 'notRule', value: rule } });
    return rule;
  };
  const listenerOf = (levels: number) => {
    const principals = [{ identifier: { case: 'any' as const, value: true } }];
    const rules = create(rbac.RBACSchema, {
      policies: { deep: { permissions: [deepRule(levels)], principals } },
    });
    const filter = packAny(
      networkRbac.RBACSchema,
      create(networkRbac.RBACSchema, { statPrefix: 's', rules }),
    );
    const filters = [{ name: 'f', configType: { case: 'typedConfig' as const, value: filter } }];
    const message = create(listener.ListenerSchema, { name: 'l', filterChains: [{ filters }] });
    return toBinary(listener.ListenerSchema, message);
  };

  test('is refused with the path to it', () => {
    expect(() => RESOURCE_TYPES[0].decode(listenerOf(1_000))).toThrow(
      /filter_chains\[0\]\.filters\[0\]\.typed_config: is no valid .*recursion depth/,
    );
    // What a person writes is far from that.
    expect(() => RESOURCE_TYPES[0].decode(listenerOf(20))).toThrow(/needs the HTTP connection manager/);
  });
});

describe('a request that would become many objects', () => {
  test('is refused before it is decoded', () => {
    const sotw = new SotwConversation(tables);
    const delta = new DeltaConversation(tables);
    // `resource_locators`, `error_detail.details` and `node.extensions`, each two bytes long.
    const locators = times(200_000, [0x3a, 0x00]);
    expect(() => sotw.read(locators)).toThrow('more than 262144 bytes besides names');
    expect(() => delta.read(times(200_000, [0x42, 0x00]))).toThrow('more than 262144 bytes besides names');
    const crowded = field(6, times(200_000, [0x1a, 0x00]));
    expect(() => sotw.read(crowded)).toThrow('more than 262144 bytes besides names');
    expect(() => sotw.read(field(2, times(200_000, [0x4a, 0x00])))).toThrow('besides names');
    expect(() => sotw.read(times(1_000_000, [0x1a, 0x00]))).toThrow('lists more than 200000 names');
    expect(() => delta.read(times(1_000_000, [0x1a, 0x00]))).toThrow('lists more than 400000 names');
  });

  test('is taken as long as it lists names', () => {
    const names = Array.from({ length: 50_000 }, (_, index) => `outbound|80||service-${index}.default`);
    const message = create(discovery.DiscoveryRequestSchema, { typeUrl: 't', resourceNames: names });
    const bytes = toBinary(discovery.DiscoveryRequestSchema, message);
    expect(bytes.length).toBeGreaterThan(1024 * 1024);
    expect(new SotwConversation(tables).read(bytes).typeUrl).toBe('t');
  });
});

test('unknown fields are skipped, not kept', () => {
  const bytes = Buffer.concat([field(1, Buffer.from('r')), times(1_000, [0xf8, 0x7f, 0x00])]);
  const message = readMessage(route.RouteConfigurationSchema, bytes);
  expect(message.name).toBe('r');
  expect(message.$unknown).toBeUndefined();
});
