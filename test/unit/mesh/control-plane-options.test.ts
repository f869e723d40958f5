import { describe, expect, test } from 'vitest';
import { readBootstrap } from '../../../src/mesh/bootstrap/read.js';
import {
  type ControlPlaneOptions,
  listenerNameOf,
  resolveControlPlane,
} from '../../../src/mesh/control-plane-options.js';
import { hostOfListener } from '../../../src/mesh/listener-names.js';

const BOOTSTRAP = {
  xds_servers: [{ server_uri: 'first:1', channel_creds: [{ type: 'insecure' }] }],
  authorities: { far: { client_listener_resource_name_template: 'xdstp://far/L/grpc/%s?x=1' }, plain: {} },
  client_default_listener_resource_name_template: 'xdstp://far/L/%s',
};

function resolve(
  given?: string | ControlPlaneOptions,
  { env = {}, bootstrap }: { env?: Record<string, string>; bootstrap?: object } = {},
) {
  const found =
    bootstrap &&
    readBootstrap({ GRPC_XDS_BOOTSTRAP_CONFIG: JSON.stringify(bootstrap) }, () => {
      throw new Error('no file');
    });
  return resolveControlPlane(given, 'sotw', { env, bootstrap: found });
}
const targets = (found: ReturnType<typeof resolve>) => found.servers.map(({ target }) => target);

describe('where the configuration comes from', () => {
  test('code, then environment, then bootstrap, then this machine', () => {
    const env = { INMESH_CONTROL_PLANE: 'b:1, b:2' };
    expect(targets(resolve('a:1,a:2', { env, bootstrap: BOOTSTRAP }))).toEqual(['a:1', 'a:2']);
    expect(targets(resolve({ servers: ['a:1', { address: 'unix:/s' }] }))).toEqual(['a:1', 'unix:/s']);
    expect(targets(resolve(undefined, { env, bootstrap: BOOTSTRAP }))).toEqual(['b:1', 'b:2']);
    expect(targets(resolve({}, { bootstrap: BOOTSTRAP }))).toEqual(['first:1']);
    expect(targets(resolve())).toEqual(['127.0.0.1:15010']);
  });

  test('servers of a bootstrap are pinged seldom, for servers in Go end connections that ping more', () => {
    expect(resolve({}, { bootstrap: BOOTSTRAP }).servers[0]?.keepaliveMs).toBe(300_000);
    expect(resolve('a:1').servers[0]?.keepaliveMs).toBe(30_000);
    expect(resolve({ servers: [{ address: 'a:1', keepaliveMs: 60_000 }] }).servers[0]?.keepaliveMs).toBe(
      60_000,
    );
  });

  test('streams are chosen for all servers', () => {
    const streamsOf = (found: ReturnType<typeof resolve>) => found.servers[0]?.streams;
    expect(streamsOf(resolve({ streams: 'separate' }, { bootstrap: BOOTSTRAP }))).toBe('separate');
    expect(streamsOf(resolve('a:1', { env: { INMESH_XDS_STREAMS: 'separate' } }))).toBe('separate');
    expect(streamsOf(resolve('a:1'))).toBe('aggregated');
  });

  test('credentials come from code or environment', () => {
    const security = (found: ReturnType<typeof resolve>) => found.servers[0]?.security;
    expect(security(resolve('a:1'))).toEqual({ kind: 'default' });
    expect(security(resolve('a:1', { env: { INMESH_XDS_CA: 'ca' } }))).toMatchObject({
      kind: 'tls',
      caFile: 'ca',
    });
    expect(security(resolve('a:1', { env: { INMESH_XDS_CREDENTIALS: 'mesh' } }))).toMatchObject({
      kind: 'mesh',
    });
    expect(security(resolve({ servers: [{ address: 'a:1', credentials: { caFile: 'x' } }] }))).toMatchObject({
      caFile: 'x',
    });
    expect(resolve('a:1', { env: { INMESH_XDS_TOKEN: 't' } }).servers[0]?.tokenFile).toBe('t');
  });

  test('authorities of the bootstrap and of code are put together', () => {
    const found = resolve(
      { authorities: { mine: { servers: ['m:1'] }, far: { listenerTemplate: 'xdstp://far/T/%s' } } },
      { bootstrap: BOOTSTRAP },
    );
    expect([...found.authorities.keys()].sort()).toEqual(['far', 'mine', 'plain']);
    expect(found.authorities.get('mine')?.servers[0]?.target).toBe('m:1');
    expect(found.authorities.get('far')?.listenerTemplate).toBe('xdstp://far/T/%s');
  });

  test.each([
    ['shop:80', 'xdstp://far/L/shop:80'],
    ['xds:///[::1]:80', 'xdstp://far/L/%5B::1%5D:80'],
    ['xds:shop', 'xdstp://far/L/shop'],
    ['xds://far/a b:80', 'xdstp://far/L/grpc/a%20b:80?x=1'],
    ['xds://plain/shop', 'xdstp://plain/envoy.config.listener.v3.Listener/shop'],
  ])('the listener of %s is %s, and stands for its host', (target, name) => {
    expect(listenerNameOf(target, resolve({}, { bootstrap: BOOTSTRAP }))).toBe(name);
    expect(hostOfListener(name)).toBe(target.replace(/^xds:(\/\/[^/]*\/)?/, ''));
  });

  test('without templates a listener is called like its host', () => {
    expect(resolve({ servers: ['a:1'], listeners: ['shop:80', 'xds:///b'] }).listeners).toEqual([
      'shop:80',
      'b',
    ]);
    const env = { INMESH_XDS_LISTENERS: 'shop:80,cart:80', INMESH_XDS_WILDCARD: 'off' };
    expect(resolve('a:1', { env })).toMatchObject({ listeners: ['shop:80', 'cart:80'], wildcard: false });
  });

  test.each([
    [{ servers: [] }, {}, /names no server/],
    [{ servers: [{ address: 'x:1', credentials: { certificateFile: 'c' } }] }, {}, /one of certificateFile/],
    [{ servers: [{ address: '127.0.0.1:1', tokenFile: 't' }] }, {}, /in plaintext/],
    [{ servers: [{ address: 'a:1', credentials: 'insecure', tokenFile: 't' }] }, {}, /in plaintext/],
    [{ servers: [{ address: 'a:1', keepaliveMs: 1 }] }, {}, /keepaliveMs/],
    [{ listeners: ['xds://nobody/a'] }, {}, /nobody\/a.* is not configured/],
    [{ authorities: { a: {} }, listeners: ['xds://a/*'] }, {}, /Use "delta"/],
    [{ authorities: { a: { listenerTemplate: 'xdstp://b/%s' } } }, {}, /does not begin with/],
    [undefined, { INMESH_XDS_STREAMS: 'both' }, /neither aggregated nor separate/],
    [undefined, { INMESH_XDS_CREDENTIALS: 'magic' }, /magic/],
  ])('%o with %o is refused', (given, env, message) => {
    expect(() => resolve(given as ControlPlaneOptions, { env })).toThrow(message);
  });
});
