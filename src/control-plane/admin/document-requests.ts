import { z } from 'zod';
import { MeshError } from '../../runtime/errors.js';
import { ANALYZERS } from '../analysis/analyzers/table.js';
import { parseSuppression } from '../analysis/suppressions.js';
import type { SentDocuments } from '../files/sent-documents.js';
import type { ConfigText } from '../schema/config-file.js';
import { parseBody } from './parse-body.js';

const labels = z.record(z.string(), z.string());
const header = z.tuple([z.string(), z.string()]);
const documents = {
  /** Texts of YAML or JSON, as they would stand in files. */
  files: z
    .array(z.strictObject({ file: z.string().max(1_024), content: z.string() }))
    .max(5_000)
    .optional(),
  /** Objects, each by itself. */
  objects: z.array(z.record(z.string(), z.unknown())).max(20_000).optional(),
};
const workload = {
  namespace: z.string().default('default'),
  labels: labels.default({}),
  service: z.string().optional(),
  gateways: z.array(z.string()).optional(),
};

const analysis = z.strictObject({
  ...documents,
  namespace: z.string().optional(),
  analyzers: z.array(z.enum(ANALYZERS.map(({ name }) => name))).optional(),
  suppress: z.array(z.string()).optional(),
  istioNamespace: z.string().optional(),
});
const validation = z.strictObject({ ...documents, strict: z.boolean().default(false) });
const compilation = z.strictObject({
  ...documents,
  profile: z.enum(['sdk', 'grpc', 'envoy']),
  namespace: z.string().default('default'),
  labels: labels.default({}),
  proxyPort: z.int().min(0).max(65_535).optional(),
  portListeners: z.boolean().default(false),
});
const explanation = z.strictObject({
  ...documents,
  method: z.string().default('GET'),
  url: z.string(),
  from: z.string().optional(),
  labels: labels.optional(),
  headers: z.array(header).optional(),
  gateway: z.string().optional(),
  draw: z.number().min(0).lt(1).optional(),
});
const authorization = z.strictObject({
  ...documents,
  ...workload,
  request: z
    .strictObject({
      protocol: z.enum(['http', 'tcp']).default('http'),
      method: z.string().optional(),
      authority: z.string().optional(),
      path: z.string().optional(),
      headers: z.array(header).optional(),
      principal: z.string().optional(),
      sourceIp: z.string().optional(),
      remoteIp: z.string().optional(),
      destinationIp: z.string().optional(),
      port: z.int().min(0).max(65_535).optional(),
      serverName: z.string().optional(),
      claims: z.record(z.string(), z.unknown()).optional(),
    })
    .optional(),
});
const filters = z.strictObject({ ...documents, ...workload });
const conversion = z.strictObject({ ...documents, to: z.enum(['gateway-api', 'istio']) });
const migration = z.strictObject({ ...documents, rootNamespace: z.string().optional() });

/** Bodies of requests about documents that are sent along. */
export const DOCUMENT_BODIES = {
  analysis,
  validation,
  compilation,
  explanation,
  authorization,
  filters,
  conversion,
  migration,
};

/** Documents as a body has them. */
export interface Given {
  readonly files?: readonly ConfigText[] | undefined;
  readonly objects?: readonly object[] | undefined;
}

/** The documents of a body, and what else it says. @throws MeshError `INMESH_OPTION_INVALID`. */
export function readSent<T extends Given>(schema: z.ZodType<T>, body: unknown, query: URLSearchParams) {
  const { files = [], objects = [], ...rest } = parseBody(schema, body);
  const texts = objects.map((one, index) => ({
    file: `objects[${index}]`,
    content: JSON.stringify(one, undefined, 2),
  }));
  const sent: SentDocuments = { input: { files: [...files, ...texts] }, withStored: isWithStored(query) };
  return { sent, rest };
}

function isWithStored(query: URLSearchParams): boolean {
  const text = query.get('with');
  if (text === null || text === 'stored') return text !== null;
  throw new MeshError('INMESH_OPTION_INVALID', `with=${text}: only with=stored is known`);
}

/** Suppressions such as `IST0101=VirtualService shop/cart`. @throws MeshError `INMESH_OPTION_INVALID`. */
export function suppressionsOf(texts: readonly string[]) {
  return texts.map((text) => {
    const suppression = parseSuppression(text);
    if (suppression !== undefined) return suppression;
    throw new MeshError('INMESH_OPTION_INVALID', `${JSON.stringify(text)} is no suppression`, {
      hint: 'Write a code such as IST0102, or IST0101=VirtualService shop/cart',
    });
  });
}
