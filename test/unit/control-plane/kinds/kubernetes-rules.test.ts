import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { validateDocuments } from '../../../../src/control-plane/files/validate-files.js';

/** What is wrong with a document, by its path. */
function problems(value: object): readonly string[] {
  const content = stringify({ metadata: { name: 'one' }, ...value });
  const { violations } = validateDocuments({ files: [{ file: 'one.yaml', content }] });
  return violations.map(({ severity, path }) => `${severity} ${path.join('.')}`);
}

describe("what Kubernetes' API refuses of its own kinds, where it would reach nothing", () => {
  const service = (spec: object) => ({ apiVersion: 'v1', kind: 'Service', spec });
  const port = (more: object) => service({ ports: [{ name: 'http', port: 80, ...more }] });

  test.each<[object, readonly string[]]>([
    [port({}), []],
    [port({ name: 'HTTP' }), ['error spec.ports.0.name']],
    [port({ targetPort: 8080 }), []],
    [port({ targetPort: 'http-alt' }), []],
    [port({ targetPort: '8080' }), ['error spec.ports.0.targetPort']],
    [port({ targetPort: 'a-name-that-is-too-long' }), ['error spec.ports.0.targetPort']],
    [port({ targetPort: 'a--b' }), ['error spec.ports.0.targetPort']],
    [
      service({
        ports: [
          { name: 'dns', port: 53, protocol: 'UDP' },
          { name: 'dns-tcp', port: 53 },
          { name: 'again', port: 53, protocol: 'UDP' },
        ],
      }),
      ['error spec.ports.2.port'],
    ],
    [service({ clusterIP: 'None' }), []],
    [service({ clusterIP: '2001:db8::1' }), []],
    [service({ clusterIP: 'none' }), ['error spec.clusterIP']],
    [{ ...service({}), metadata: { name: 'a.b' } }, ['error metadata.name']],
    [{ ...service({}), metadata: { name: 'Cart' } }, ['error metadata.name']],
    [{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop.eu' } }, ['error metadata.name']],
    [service({ type: 'ExternalName', externalName: 'db.example.com.' }), []],
    [service({ type: 'ExternalName' }), ['error spec.externalName']],
    [service({ type: 'ExternalName', externalName: 'not a name' }), ['error spec.externalName']],
  ])('%j', (value, expected) => {
    expect(problems(value)).toEqual(expected);
  });

  const slice = (addressType: string, address: string, ports: readonly object[] = [{ port: 80 }]) => ({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    addressType,
    endpoints: [{ addresses: [address] }],
    ports,
  });

  test.each<[object, readonly string[]]>([
    [slice('IPv4', '10.0.0.1'), []],
    [slice('IPv6', '2001:db8::1'), []],
    [slice('FQDN', 'db.example.com'), []],
    [slice('IPv4', '2001:db8::1'), ['error endpoints.0.addresses.0']],
    [slice('IPv6', '10.0.0.1'), ['error endpoints.0.addresses.0']],
    [slice('FQDN', 'DB'), ['error endpoints.0.addresses.0']],
    [slice('IPv4', 'db.example.com'), ['error endpoints.0.addresses.0']],
    [slice('IPv4', '10.0.0.1', [{ port: 80 }, { port: 81 }]), ['error ports.1']],
    [slice('IPv4', '10.0.0.1', [{ name: 'a.b', port: 80 }]), ['error ports.0.name']],
  ])('%j', (value, expected) => {
    expect(problems(value)).toEqual(expected);
  });

  const endpoints = (ip: string, ports: readonly object[]) => ({
    apiVersion: 'v1',
    kind: 'Endpoints',
    subsets: [{ addresses: [{ ip }], ports }],
  });

  test.each<[object, readonly string[]]>([
    [endpoints('10.0.0.1', [{ port: 80 }]), []],
    [endpoints('db.example.com', [{ port: 80 }]), ['error subsets.0.addresses.0.ip']],
    [endpoints('10.0.0.1', [{ name: 'a', port: 80 }, { port: 81 }]), ['error subsets.0.ports.1']],
  ])('%j', (value, expected) => {
    expect(problems(value)).toEqual(expected);
  });

  test.each<[object, readonly string[]]>([
    [{ app: 'cart' }, []],
    [{ app: 'cart', version: 'v1' }, []],
    [{ app: 'other' }, ['error spec.selector.matchLabels.app']],
    [{}, ['error spec.selector.matchLabels.app']],
  ])('a Deployment that selects app=cart of a template with %j', (labels, expected) => {
    const spec = { selector: { matchLabels: { app: 'cart' } }, template: { metadata: { labels } } };
    expect(problems({ apiVersion: 'apps/v1', kind: 'Deployment', spec })).toEqual(expected);
  });
});

test('a TLSRoute has hosts and one rule, but for its first version', () => {
  const backendRefs = [{ name: 'a', port: 443 }];
  const route = (version: string) => ({
    apiVersion: `gateway.networking.k8s.io/${version}`,
    kind: 'TLSRoute',
    spec: { rules: [{ backendRefs }, { backendRefs }] },
  });
  expect(problems(route('v1'))).toEqual(['error spec', 'error spec.rules.1']);
  expect(problems(route('v1alpha3'))).toEqual(['error spec', 'error spec.rules.1']);
  expect(problems(route('v1alpha2'))).toEqual([]);
});
