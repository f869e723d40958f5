import { fromBinary } from '@bufbuild/protobuf';
import { beforeAll, describe, expect, test } from 'vitest';
import { statusOf } from '../../../../src/control-plane/gateway-api/status.js';
import { listener, tcpProxy, tls } from '../../../../src/proto/xds.js';
import { createTestCa } from '../../../../src/testing/test-ca.js';
import { compile, nodeOf, service, viewOf } from '../compile/mesh.js';

// Which TLSRoute has a connection, by the name that the client sends.

let certificate: string;
beforeAll(async () => {
  const ca = await createTestCa();
  const { pem, privateKey } = ca.certificate('default', { names: { dnsNames: ['a.org'] } });
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  certificate = document('v1', 'Secret', 'cert', {
    type: 'kubernetes.io/tls',
    stringData: { 'tls.crt': pem, 'tls.key': key },
  });
});

const SERVICES = ['a', 'b', 'c'].map((name) => service(name, 80)).join('');
const GROUP = 'gateway.networking.k8s.io';

function document(apiVersion: string, kind: string, name: string, content: object): string {
  return `---\n${JSON.stringify({ apiVersion, kind, metadata: { name, namespace: 'default' }, ...content })}\n`;
}

type Mode = 'Terminate' | 'Passthrough';

function listenerOf(name: string, mode: Mode, hostname?: string, more: object = {}): object {
  const certificateRefs = mode === 'Terminate' ? [{ name: 'cert' }] : undefined;
  return { name, port: 443, protocol: 'TLS', hostname, tls: { mode, certificateRefs }, ...more };
}

function gateway(...listeners: readonly object[]): string {
  const spec = { gatewayClassName: 'inmesh', listeners };
  return `${SERVICES}${certificate}${document(`${GROUP}/v1`, 'Gateway', 'edge', { spec })}`;
}

interface RouteOptions {
  readonly kind?: 'TLSRoute' | 'TCPRoute';
  readonly sectionName?: string;
}

/** A route to the service of its name's first letter; without hostnames for any. */
function route(name: string, hostnames?: readonly string[], options: RouteOptions = {}): string {
  const { kind = 'TLSRoute', sectionName } = options;
  const spec = {
    parentRefs: [{ name: 'edge', sectionName }],
    hostnames,
    rules: [{ backendRefs: [{ name: name.slice(0, 1), port: 80 }] }],
  };
  return document(`${GROUP}/v1alpha2`, kind, name, { spec });
}

function chainsOf(text: string): readonly listener.FilterChain[] {
  const node = nodeOf({ GENERATOR: 'envoy', LABELS: { [`${GROUP}/gateway-name`]: 'edge' } });
  const found = compile(text, [], node).wireListeners.get('0.0.0.0_443');
  return found === undefined ? [] : fromBinary(listener.ListenerSchema, found.bytes).filterChains;
}

/** As Envoy chooses: the name itself, then wildcards from the longest on, then the chain for any name. */
function chainFor(text: string, name: string): listener.FilterChain | undefined {
  const chains = chainsOf(text);
  const labels = name.split('.');
  const wanted = [name, ...labels.slice(1).map((_, at) => `*.${labels.slice(at + 1).join('.')}`)];
  for (const one of wanted) {
    const found = chains.find(({ filterChainMatch }) => filterChainMatch?.serverNames.includes(one));
    if (found !== undefined) return found;
  }
  return chains.find(({ filterChainMatch }) => filterChainMatch === undefined);
}

/** The service that gets a connection. */
function destination(text: string, name: string): string | undefined {
  const config = chainFor(text, name)?.filters.at(-1)?.configType;
  if (config?.case !== 'typedConfig') return undefined;
  const { clusterSpecifier } = fromBinary(tcpProxy.TcpProxySchema, config.value.value);
  return clusterSpecifier.case === 'cluster' ? clusterSpecifier.value.split('|')[3]?.split('.')[0] : '';
}

function certificatesOf(chain: listener.FilterChain): readonly string[] {
  const config = chain.transportSocket?.configType;
  if (config?.case !== 'typedConfig') return [];
  const { commonTlsContext } = fromBinary(tls.DownstreamTlsContextSchema, config.value.value);
  return (commonTlsContext?.tlsCertificateSdsSecretConfigs ?? []).map((one) => one.name);
}

describe.each<Mode>(['Terminate', 'Passthrough'])('of TLSRoutes at a listener in the mode %s', (mode) => {
  test('an exact hostname goes before a wildcard, the longer wildcard first; other names are refused', () => {
    const text = `${gateway(listenerOf('tls', mode))}${route('a', ['*.org'])}${route('b', [
      '*.x.org',
      'b.example',
    ])}${route('c', ['c.x.org'])}`;
    expect(destination(text, 'c.x.org')).toBe('c');
    expect(destination(text, 'd.x.org')).toBe('b');
    expect(destination(text, 'b.example')).toBe('b');
    expect(destination(text, 'd.org')).toBe('a');
    expect(chainFor(text, 'd.example')).toBeUndefined();
  });

  test('the hostname of the listener bounds theirs', () => {
    const text = `${gateway(listenerOf('tls', mode, '*.x.org'))}${route('a', ['*.org'])}${route('b', [
      'b.x.org',
      'b.org',
    ])}`;
    expect(destination(text, 'b.x.org')).toBe('b');
    expect(destination(text, 'c.x.org')).toBe('a');
    expect(chainFor(text, 'b.org')).toBeUndefined();
    expect(chainFor(text, 'c.org')).toBeUndefined();
  });

  test('the oldest has a name that several give', () => {
    const text = `${gateway(listenerOf('tls', mode))}${route('a', ['x.org'])}${route('b', ['x.org', 'y.org'])}`;
    expect(destination(text, 'x.org')).toBe('a');
    expect(destination(text, 'y.org')).toBe('b');
  });

  test('one without hostnames takes what the others leave', () => {
    const text = `${gateway(listenerOf('tls', mode))}${route('a')}${route('b', ['b.org'])}`;
    expect(destination(text, 'b.org')).toBe('b');
    expect(destination(text, 'c.org')).toBe('a');
  });

  test('those of the listener with the most specific hostname count, and no others', () => {
    const listeners = gateway(listenerOf('wide', mode, '*.org'), listenerOf('narrow', mode, '*.x.org'));
    const wide = route('a', ['*.org', 'b.x.org'], { sectionName: 'wide' });
    const text = `${listeners}${wide}${route('c', ['c.x.org'], { sectionName: 'narrow' })}`;
    expect(destination(text, 'd.org')).toBe('a');
    expect(destination(text, 'c.x.org')).toBe('c');
    expect(destination(text, 'b.x.org')).toBe('nowhere');
    expect(destination(text, 'd.x.org')).toBe('nowhere');
  });

  test('each is attached, whatever the others name', () => {
    const text = `${gateway(listenerOf('tls', mode))}${route('a', ['x.org'])}${route('b', ['x.org'])}`;
    const statuses = statusOf(viewOf(text));
    for (const name of ['a', 'b']) {
      const found = statuses.find((one) => one.kind === 'TLSRoute' && one.name === name);
      expect(found?.status.parents?.[0]?.conditions).toMatchObject([
        { type: 'Accepted', status: 'True' },
        { type: 'ResolvedRefs', status: 'True' },
      ]);
    }
    const edge = statuses.find((one) => one.kind.startsWith('Gateway'));
    expect(edge?.status.listeners).toMatchObject([{ name: 'tls', attachedRoutes: 2 }]);
  });
});

test('where a listener ends TLS each of its chains has the certificate, and none where it passes TLS on', () => {
  const routes = `${route('a', ['a.org'])}${route('b', ['b.org'])}`;
  const ended = chainsOf(`${gateway(listenerOf('tls', 'Terminate'))}${routes}`).map(certificatesOf);
  expect(ended).toEqual([[expect.stringContaining('cert')], [expect.stringContaining('cert')]]);
  const passed = chainsOf(`${gateway(listenerOf('tls', 'Passthrough'))}${routes}`);
  expect(passed.map((chain) => chain.transportSocket)).toEqual([undefined, undefined]);
});

test('where a listener ends TLS the oldest TCPRoute takes the names that no TLSRoute gives', () => {
  const text = `${gateway(listenerOf('tls', 'Terminate', '*.org'))}${route('a', undefined, {
    kind: 'TCPRoute',
  })}${route('b', ['b.org'])}${route('c', undefined, { kind: 'TCPRoute' })}`;
  expect(destination(text, 'b.org')).toBe('b');
  expect(destination(text, 'c.org')).toBe('a');
  expect(chainFor(text, 'a.example')).toBeUndefined();
});
