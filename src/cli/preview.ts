import { readFile } from 'node:fs/promises';
import type { FileObject } from '../control-plane.js';
import { showAnswer } from './changes.js';
import type { DiffOptions } from './diff-options.js';
import type { Output } from './output.js';
import { callPlane, errorOf } from './status-api.js';

/** What a dry run says of resources and requests. */
export interface PreviewBody {
  readonly profiles: readonly {
    readonly profile: string;
    readonly types: readonly {
      readonly type: string;
      readonly added: string[];
      readonly changed: string[];
      readonly removed: string[];
    }[];
  }[];
  readonly requests: readonly {
    readonly method: string;
    readonly url: string;
    readonly before: object;
    readonly after: object;
  }[];
}

/** Asks the control plane what objects would come to. */
export async function previewOf(
  objects: readonly FileObject[],
  options: DiffOptions,
  output: Output,
): Promise<PreviewBody | 'refused'> {
  const { controlPlane: address, tokenFile, caRoot } = options;
  const requests = options.requests === undefined ? [] : await readRequests(options.requests);
  const changes = objects.map(({ object }) => ({ op: 'apply', object }));
  const answer = await callPlane({ address, tokenFile, caRoot }, '/api/dry-run', {
    method: 'POST',
    body: { changes, requests },
  });
  if (answer.status === 200) return answer.body as PreviewBody;
  const isHeld = errorOf(answer.body)?.code === 'INMESH_MASS_REMOVAL';
  await showAnswer(answer, { format: 'table' }, output, { objects, namespace: undefined });
  return isHeld ? (answer.body as PreviewBody) : 'refused';
}

/** Recorded requests: a line of JSON each, `{ method, url, headers, from }` or as access logs have them. */
async function readRequests(path: string): Promise<readonly object[]> {
  const text = await readFile(path, 'utf8');
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const one: Readonly<Record<string, unknown>> = JSON.parse(line);
      const { method, url, from, headers, authority, path: own } = one;
      return {
        method: typeof method === 'string' ? method : 'GET',
        url:
          typeof url === 'string' ? url : `http://${String(authority)}${typeof own === 'string' ? own : '/'}`,
        ...(typeof from === 'string' && { from }),
        ...(Array.isArray(headers) && { headers }),
        ...(!Array.isArray(headers) &&
          typeof headers === 'object' &&
          headers !== null && { headers: Object.entries(headers) }),
      };
    });
}
