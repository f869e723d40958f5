import { MeshError } from '../../runtime/errors.js';

const SECONDS = /^(\d+(?:\.\d{1,9})?)s$/;

/** A duration as JSON of protobuf writes it (`1.5s`), or as its message (`{ seconds, nanos }`). */
export function durationOf(value: unknown): number | undefined {
  if (value === undefined) return undefined;
  const [, seconds] = typeof value === 'string' ? (SECONDS.exec(value) ?? []) : [];
  if (seconds !== undefined) return Number(seconds) * 1000;
  const [whole, nanos] = [Number(field(value, 'seconds') ?? 0), Number(field(value, 'nanos') ?? 0)];
  if (typeof value === 'object' && Number.isFinite(whole + nanos)) return whole * 1000 + nanos / 1_000_000;
  throw new MeshError(
    'INMESH_OPTION_INVALID',
    `grpc.service_config: ${JSON.stringify(value)} is no duration, such as "1.5s"`,
  );
}

/** The list of this name; none = empty. */
export function listOf(value: unknown, name: string): readonly unknown[] {
  const list = field(value, name) ?? [];
  if (Array.isArray(list)) return list;
  throw new MeshError('INMESH_OPTION_INVALID', `grpc.service_config: ${name} is no list`);
}

/** The text of this name; none = empty. */
export function textOf(value: unknown, name: string): string {
  const text = field(value, name) ?? '';
  if (typeof text === 'string') return text;
  throw new MeshError('INMESH_OPTION_INVALID', `grpc.service_config: ${name} of a method is no text`);
}

/** What an object has under a name. */
export function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined;
}
