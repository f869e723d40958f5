import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { DEFAULT_MESH_CONFIG } from '../../src/control-plane/mesh/mesh-config.js';
import { mtlsModes } from '../../src/control-plane/compile/peer-authentication.js';
import { compile, nodeOf, viewOf } from '../unit/control-plane/compile/mesh.js';

const folder = new URL('../../../shared/vectors/istio/', import.meta.url);
const hasVectors = existsSync(folder);

interface ConfigObject {
  readonly kind: string;
}

interface RouteCase {
  readonly name: string;
  readonly variant: string;
  readonly proxyNamespace: string;
  readonly routeName: string;
  readonly config: readonly ConfigObject[];
  readonly expectedVirtualHosts: Readonly<Record<string, readonly string[] | null>> | null;
}

interface RouteCases {
  readonly services: readonly object[];
  readonly cases: readonly RouteCase[];
}

const empty: RouteCases = { services: [], cases: [] };
const routes: RouteCases = hasVectors
  ? JSON.parse(readFileSync(new URL('xds-simulation/sidecar-routes.json', folder), 'utf8'))
  : empty;

/** Istio's own cases give both ports of a service one name, which Kubernetes would refuse. */
function named(service: object): string {
  let port = 0;
  return JSON.stringify(service).replaceAll('"name":"http"', () => `"name":"http-${port++}"`);
}

describe('which VirtualService holds for which host', () => {
  test('is what Istio decides, in every case about VirtualServices, HTTPRoutes and Sidecars', () => {
    const wrong = routes.cases
      .filter(({ config }) => config.every(({ kind }) => ['VirtualService', 'Sidecar', 'HTTPRoute'].includes(kind)))
      .filter(({ expectedVirtualHosts }) => expectedVirtualHosts !== null)
      .flatMap((one) => {
        const text = [...routes.services.map(named), ...one.config.map((document) => JSON.stringify(document))].join('\n---\n');
        const set = compile(text, [], nodeOf({ NAMESPACE: one.proxyNamespace }));
        return Object.entries(one.expectedVirtualHosts ?? {}).flatMap(([host, expected]) => {
          const [virtualHost] = set.routes.get(`outbound|${one.routeName}||${host}`)?.virtualHosts ?? [];
          const clusters = virtualHost?.routes.map(({ action }) =>
            action.kind === 'forward' && action.cluster.kind === 'cluster' ? action.cluster.name : action.kind,
          );
          return JSON.stringify(clusters ?? null) === JSON.stringify(expected)
            ? []
            : [`${one.name}: ${host} → ${JSON.stringify(clusters)}, not ${JSON.stringify(expected)}`];
        });
      });
    expect(wrong).toEqual([]);
  });
});

interface Denial {
  readonly groups?: readonly {
    readonly rules: readonly { readonly matches: readonly Readonly<Record<string, unknown>>[] }[];
  }[];
}

/** Whether the policy denies plaintext on the port: groups are alternatives, rules all hold, matches are alternatives. */
function deniesPlaintext(policy: Denial | null, port: number): boolean {
  const holds = (match: Readonly<Record<string, unknown>>) =>
    Object.entries(match).every(([field, value]) => {
      const ports = Array.isArray(value) ? value : [];
      if (field === 'destinationPorts') return ports.includes(port);
      if (field === 'notDestinationPorts') return !ports.includes(port);
      return field === 'notPrincipals';
    });
  return (policy?.groups ?? []).some(({ rules }) => rules.every(({ matches }) => matches.some(holds)));
}

describe('PeerAuthentication', () => {
  const at = new URL('peer-authentication-merge/', folder);
  const names = hasVectors
    ? readdirSync(at).filter((name) => name.startsWith('peer-authn') && name.endsWith('-in.yaml'))
    : [];

  test('ports that take no plaintext are those of Istio', () => {
    const wrong = names.flatMap((name) => {
      const text = readFileSync(new URL(name, at), 'utf8');
      const answer = readFileSync(new URL(name.replace('-in.yaml', '.yaml'), at), 'utf8');
      const documents = parseAllDocuments(text).map((one) => one.toJS());
      const namespace = documents.map((one) => one.metadata.namespace ?? 'default').find((one) => one !== 'istio-system');
      const modes = mtlsModes(viewOf(text), DEFAULT_MESH_CONFIG);
      return [8080, 9090, 1234].flatMap((port) => {
        const isStrict = modes({ namespace: namespace ?? 'default', labels: { app: 'a' } }, port) === 'STRICT';
        return isStrict === deniesPlaintext(parse(answer), port) ? [] : [`${name} port ${port}: strict ${isStrict}`];
      });
    });
    expect(wrong).toEqual([]);
  });
});
