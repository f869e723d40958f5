import { readFile } from 'node:fs/promises';
import type { FileObject } from '../control-plane.js';
import { showAnswer } from './changes.js';
import type { DiffOptions } from './diff-options.js';
import type { Output } from './output.js';
import { readRecorded } from './recorded-requests.js';
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
    readonly count?: number;
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
  const file = options.requests;
  const requests = file === undefined ? [] : readRecorded(await readFile(file, 'utf8'), file);
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
