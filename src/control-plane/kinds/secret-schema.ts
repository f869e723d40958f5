import { z } from 'zod';
import { Secret } from '../../runtime/secret.js';

/** A text that nobody is shown, not even in a complaint about it. */
const hidden = z
  .custom<string>((value) => typeof value === 'string', 'must be text')
  .transform((text) => new Secret(text));

/** What inmesh reads of a Kubernetes Secret; it stands beside `metadata`, not below `spec`. */
export const secretSchema = z.object({
  type: z.string().optional(),
  /** Base64. */
  data: z.record(z.string(), hidden).optional(),
  /** As it is; goes before `data`. */
  stringData: z.record(z.string(), hidden).optional(),
});

/** The parsed content of a Secret. */
export interface SecretContent {
  readonly type?: string | undefined;
  readonly data?: Readonly<Record<string, Secret>> | undefined;
  readonly stringData?: Readonly<Record<string, Secret>> | undefined;
}
