import type { Output } from './output.js';
import type { PlaneOptions } from './plane-options.js';
import { type Format, print } from './print.js';
import type { Client } from './status.js';
import { callPlane, errorOf } from './status-api.js';

/** Waits until clients have a revision; 1 = not all had it in time. */
export async function waitApplied(
  options: PlaneOptions & { readonly revision?: number; readonly timeout: number; readonly format: Format },
  output: Output,
): Promise<number> {
  const { controlPlane: address, tokenFile, caRoot, revision, timeout } = options;
  const query = new URLSearchParams({ timeoutMs: String(timeout) });
  if (revision !== undefined) query.set('revision', String(revision));
  const { body } = await callPlane({ address, tokenFile, caRoot }, `/api/applied?${query}`, {
    method: 'GET',
  });
  const error = errorOf(body);
  if (error !== undefined) {
    output.err(`${error.message}\n`);
    return 2;
  }
  // As openapi.json says.
  const report = body as {
    readonly revision: number;
    readonly isApplied: boolean;
    readonly missing: readonly Client[];
  };
  await print(output, options.format, report, () =>
    report.isApplied
      ? [[`revision ${report.revision} is applied everywhere`]]
      : [
          ['CLIENT', 'STATE', 'REVISION'],
          ...report.missing.map(({ id, state, applied }) => [id, state, String(applied)]),
        ],
  );
  return report.isApplied ? 0 : 1;
}
