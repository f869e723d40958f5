import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { grpcLimits } from '../../../../src/control-plane/compile/grpc/losses.js';
import { unsupportedFields } from '../../../../src/control-plane/documents/unsupported.js';
import { validateDocuments } from '../../../../src/control-plane/files/validate-files.js';
import type { KindName } from '../../../../src/control-plane/kinds/view.js';
import { jsonSchemaOf } from '../../../../src/control-plane.js';

const PAGE = new URL('../../../../docs/kind-fields.md', import.meta.url);

const KINDS = [
  'VirtualService',
  'DestinationRule',
  'ServiceEntry',
  'WorkloadEntry',
  'WorkloadGroup',
  'Sidecar',
  'Gateway',
  'EnvoyFilter',
  'PeerAuthentication',
  'AuthorizationPolicy',
  'RequestAuthentication',
  'Telemetry',
  'ProxyConfig',
  'MeshConfig',
] as const satisfies readonly KindName[];

const PORT = { number: 80, protocol: 'HTTPS', name: 'https' };
const ingressTls = (tls: object) => ({ ingress: [{ port: PORT, tls: { mode: 'SIMPLE', ...tls } }] });

/** Fields that the rules of their kind take never, as in Istio, each in a document that gives it a sound value. */
const NEVER_VALID: { readonly [K in KindName]?: Readonly<Record<string, object>> } = {
  VirtualService: {
    'http.*.fault.delay.exponentialDelay': { http: [{ fault: { delay: { exponentialDelay: '1s' } } }] },
    'http.*.fault.abort.http2Error': { http: [{ fault: { abort: { http2Error: 'CANCEL' } } }] },
  },
  Sidecar: {
    'ingress.*.port.targetPort': { ingress: [{ port: { ...PORT, targetPort: 80 } }] },
    'ingress.*.tls.httpsRedirect': ingressTls({ httpsRedirect: true }),
    'ingress.*.tls.credentialName': ingressTls({ credentialName: 'one' }),
    'ingress.*.tls.credentialNames': ingressTls({ credentialNames: ['one'] }),
    'ingress.*.tls.tlsCertificates': ingressTls({
      tlsCertificates: [{ serverCertificate: '/a.pem', privateKey: '/a.key' }],
    }),
    'ingress.*.tls.subjectAltNames': ingressTls({ subjectAltNames: ['one.example.com'] }),
    'egress.*.port.targetPort': { egress: [{ port: { ...PORT, targetPort: 80 }, hosts: ['*/*'] }] },
  },
  Gateway: {
    'servers.*.port.targetPort': { servers: [{ port: { ...PORT, targetPort: 80 }, hosts: ['*'] }] },
  },
  MeshConfig: { 'meshMTLS.ecdhCurves': { meshMTLS: { ecdhCurves: ['P-256'] } } },
};

/** What validation says of the field at this path. */
function refusalOf(kind: KindName, path: string, spec: object): string {
  const document = {
    apiVersion: kind === 'MeshConfig' ? 'inmesh.dev/v1' : 'networking.istio.io/v1',
    kind,
    metadata: { name: 'one' },
    spec,
  };
  const { violations } = validateDocuments({
    files: [{ file: 'one.json', content: JSON.stringify(document) }],
  });
  const at = `spec.${path.replaceAll('*', '0')}`;
  const found = violations.find(
    ({ code, severity, path: where }) =>
      severity === 'error' && code !== 'INMESH_CONFIG_UNSUPPORTED' && where.join('.') === at,
  );
  if (found === undefined) throw new Error(`${kind} ${path} is taken: ${JSON.stringify(violations)}`);
  return found.message;
}

/** The field at or above this path that its kind takes never. */
function neverValid(kind: KindName, path: string): readonly [path: string, spec: object] | undefined {
  return Object.entries(NEVER_VALID[kind] ?? {}).find(
    ([outer]) => path === outer || path.startsWith(`${outer}.`),
  );
}

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, Schema>>;
}

/** The fields below a schema, without those that are inside of others: `http.*.match.*.uri`. */
function* fieldsOf(schema: Schema, root: Schema, path: string, depth = 0): Generator<string> {
  if (depth > 12) return;
  const { $ref } = schema;
  if ($ref !== undefined) {
    const found = root.$defs?.[$ref.split('/').at(-1) ?? ''];
    if (found !== undefined) yield* fieldsOf(found, root, path, depth);
    return;
  }
  for (const one of schema.anyOf ?? []) yield* fieldsOf(one, root, path, depth);
  if (schema.items !== undefined) yield* fieldsOf(schema.items, root, `${path}.*`, depth + 1);
  const { additionalProperties: values } = schema;
  if (typeof values === 'object') yield* fieldsOf(values, root, `${path}.*`, depth + 1);
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    const own = path === '' ? name : `${path}.${name}`;
    yield own;
    yield* fieldsOf(field, root, own, depth + 1);
  }
}

/** What holds of a field, or of one that it is inside of. */
function ruleFor<T extends { readonly path: string }>(rules: readonly T[], path: string): T | undefined {
  return rules.find((rule) => path === rule.path || path.startsWith(`${rule.path}.`));
}

function rowsOf(kind: KindName): readonly string[] {
  const root = jsonSchemaOf(kind) as Schema;
  const paths = [...new Set(fieldsOf(root.properties?.['spec'] ?? {}, root, ''))].map((path) =>
    path.replaceAll('.*', '[]'),
  );
  const rules = unsupportedFields(kind);
  // What is inside of a field that is not carried out at all needs no line of its own.
  const isInside = (path: string) =>
    rules.some(
      ({ path: outer, values, unless }) =>
        values === undefined && unless === undefined && path.startsWith(`${outer}.`),
    );
  return paths.flatMap((shown) => {
    const path = shown.replaceAll('[]', '.*');
    if (isInside(path)) return [];
    const never = neverValid(kind, path);
    if (never !== undefined) {
      const [outer, spec] = never;
      return outer === path ? [`| \`${shown}\` | refused: ${refusalOf(kind, path, spec)} |  |`] : [];
    }
    const rule = rules.find((one) => one.path === path);
    const loss = ruleFor(grpcLimits(kind), path);
    return `| \`${shown}\` | ${statusOf(rule)} | ${loss === undefined || rule !== undefined ? '' : (loss.instead ?? 'no effect')} |`;
  });
}

function statusOf(rule: ReturnType<typeof unsupportedFields>[number] | undefined): string {
  if (rule === undefined) return 'carried out';
  const what = rule.isHarmless === true ? 'no effect' : 'refused';
  const some = rule.values !== undefined || rule.unless !== undefined ? 'carried out; some values ' : '';
  return `${some}${what}: ${rule.because}`;
}

const INTRO = `# Every field of every kind

What becomes of each field that the schemas of the kinds know: carried out, refused with this reason, or let pass with a warning because
nothing is lost by it. Of a Gateway, which Envoys alone follow, it is a warning, too, unless the rules of the kind refuse the field.
\`[]\` stands for the elements of a list, or the values of a map. The last column says where gRPC's own
clients do something else than members and Envoys; who of those a kind is for is said in [Kinds](kinds.md) and
[Profiles](profiles.md). This page follows the code: a test makes it, and fails when it is out of date.
`;

function page(): string {
  const parts = KINDS.map(
    (kind) =>
      `\n## ${kind}\n\n| field of \`spec\` | | gRPC's own clients |\n| --- | --- | --- |\n${rowsOf(kind).join('\n')}\n`,
  );
  return `${INTRO}${parts.join('')}`;
}

test('the page of all fields says what the code does with each (UPDATE_FIELDS=1 writes it)', () => {
  const made = page();
  if (process.env['UPDATE_FIELDS'] === '1') writeFileSync(PAGE, made);
  expect(readFileSync(PAGE, 'utf8')).toBe(made);
});

test('what is said to be refused or without effect is a field of its kind', () => {
  const unknown = KINDS.flatMap((kind) => {
    const root = jsonSchemaOf(kind) as Schema;
    const paths = new Set(fieldsOf(root.properties?.['spec'] ?? {}, root, ''));
    return [...unsupportedFields(kind), ...grpcLimits(kind)]
      .map(({ path }) => path)
      .filter((path) => !paths.has(path))
      .map((path) => `${kind} ${path}`);
  });
  expect(unknown).toEqual([]);
});
