import { readdirSync } from 'node:fs';
import { expect } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { peerAuthentications } from '../../src/control-plane/compile/peer-authentication.js';
import { DEFAULT_MESH_CONFIG } from '../../src/control-plane/mesh/mesh-config.js';
import {
  type AuthorizationDocument,
  policyOfAuthorization,
} from '../../src/control-plane/policy/from-authorization-policy.js';
import { policyOfPeerAuthentications } from '../../src/control-plane/policy/from-peer-authentication.js';
import type { PolicyText, WorkloadPolicy } from '../../src/control-plane/policy/workload-policy.js';
import { parseIp } from '../../src/runtime/ip.js';
import { viewOf } from '../unit/control-plane/compile/mesh.js';
import { hasVectors, vectorFolder, vectorSuite, vectorText } from './score.js';

// What Istio makes of PeerAuthentication and AuthorizationPolicy for its ambient proxy.

const folder = 'istio/peer-authentication-merge/';
const inputs = hasVectors
  ? readdirSync(new URL(folder, vectorFolder)).filter((name) => name.endsWith('-in.yaml'))
  : [];

interface InputDocument {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec?: {
    readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> };
  };
}

/** Istio's files leave the namespace out where it does not matter. */
const UNNAMED = 'unnamed';

function converted(text: string): WorkloadPolicy | undefined {
  const documents = parseAllDocuments(text).map((one) => one.toJS() as InputDocument);
  const [first] = documents;
  if (first?.kind === 'AuthorizationPolicy') {
    const { name, namespace = '' } = first.metadata;
    const document = { name, namespace, spec: first.spec ?? {} } as AuthorizationDocument;
    return policyOfAuthorization(document, DEFAULT_MESH_CONFIG.rootNamespace);
  }
  const named = documents.map(({ metadata, ...rest }) =>
    JSON.stringify({ ...rest, metadata: { namespace: UNNAMED, ...metadata } }),
  );
  const view = viewOf(named.join('\n---\n'));
  // The file is about the one with a selector; the others are above it.
  const own = documents.find(({ spec }) => spec?.selector !== undefined) ?? first;
  const workload = {
    namespace: own?.metadata.namespace ?? UNNAMED,
    labels: own?.spec?.selector?.matchLabels ?? {},
  };
  const found = peerAuthentications(view, DEFAULT_MESH_CONFIG)(workload);
  const policy = policyOfPeerAuthentications(found, DEFAULT_MESH_CONFIG.rootNamespace);
  // One that refuses all plaintext is the same for every workload, and no file is about it.
  return policy?.name.startsWith('converted_') ? policy : undefined;
}

/** As Istio writes it, without regard to the order of its lists. */
function written(policy: WorkloadPolicy | undefined): unknown {
  if (policy === undefined) return undefined;
  const { name, namespace, scope, action, groups } = policy;
  return comparable({
    name,
    namespace: namespace === UNNAMED ? '' : namespace,
    scope,
    action,
    groups: groups.map(({ rules }) => ({
      rules: rules.map(({ matches }) => ({ matches: matches.map(writtenMatch) })),
    })),
  });
}

function writtenMatch(match: object): object {
  return Object.fromEntries(
    Object.entries(match).map(([field, list]) => [
      field,
      (list as readonly unknown[]).map((one) => {
        if (typeof one !== 'object' || one === null) return one;
        if ('kind' in one) return writtenText(one as PolicyText);
        if (!('bits' in one && 'address' in one)) return one;
        const bytes = parseIp(String(one.address)) ?? [];
        return { address: Buffer.from(bytes).toString('base64'), length: one.bits };
      }),
    ]),
  );
}

function writtenText(text: PolicyText): object {
  return text.kind === 'presence' ? { presence: {} } : { [text.kind]: text.value };
}

function comparable(value: unknown): unknown {
  if (Array.isArray(value)) {
    const texts = new Set(value.map((one) => JSON.stringify(comparable(one))));
    return [...texts].sort();
  }
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .map(([key, one]) => [key, comparable(one)] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

/** What the file leaves out is the first value of its enumeration, or empty. */
function expected(name: string): unknown {
  const other = name.replace('-in.yaml', '.yaml');
  const text = readdirSync(new URL(folder, vectorFolder)).includes(other) ? vectorText(folder + other) : '';
  const found: unknown = parse(text);
  if (typeof found !== 'object' || found === null) return undefined;
  const { groups = [], ...rest } = found as { groups?: readonly { rules?: readonly { matches?: readonly object[] }[] }[] };
  const filled = groups.map(({ rules = [] }) => ({
    rules: rules.map(({ matches = [] }) => ({ matches })),
  }));
  return comparable({ namespace: '', scope: 'GLOBAL', action: 'ALLOW', ...rest, groups: filled });
}

vectorSuite({
  file: `${folder}*-in.yaml`,
  cases: inputs,
  title: (name) => name,
  run: (name) => {
    expect(written(converted(vectorText(folder + name)))).toEqual(expected(name));
  },
});
