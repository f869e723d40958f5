import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { DEFAULT_MESH_CONFIG } from '../../src/control-plane/mesh/mesh-config.js';
import { mtlsModes } from '../../src/control-plane/compile/peer-authentication.js';
import { viewOf } from '../unit/control-plane/compile/mesh.js';

const folder = new URL('../../../shared/vectors/istio/', import.meta.url);
const hasVectors = existsSync(folder);

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
