import { MeshError } from '../../runtime/errors.js';

/** What a service config says of a method. */
export interface MethodSettings {
  /** Calls may take this long; undefined = as long as they like. */
  readonly timeoutMs: number | undefined;
  /** Calls wait for ready unless they say otherwise; undefined = nothing is said. */
  readonly waitForReady: boolean | undefined;
}

/** Settings of methods by their path, `/package.Service/Method`. */
export type MethodSettingsOf = (path: string) => MethodSettings;

const NOTHING: MethodSettings = { timeoutMs: undefined, waitForReady: undefined };

/**
 * Reads the service config of a channel (`grpc.service_config`, JSON): timeouts and `waitForReady` of its methods. Balancing
 * and retries are what the mesh's configuration says, so those parts of it are of no use here.
 * @throws MeshError `INMESH_OPTION_INVALID`.
 */
export function methodSettings(text: unknown): MethodSettingsOf {
  if (text === undefined) return () => NOTHING;
  const byName = new Map<string, MethodSettings>();
  for (const config of listOf(parse(text), 'methodConfig')) {
    const settings = settingsOf(config);
    for (const name of listOf(config, 'name')) {
      const key = `${textOf(name, 'service')}/${textOf(name, 'method')}`;
      // gRPC: of equal names the first counts.
      if (!byName.has(key)) byName.set(key, settings);
    }
  }
  return (path) => {
    const [, service = '', method = ''] = path.split('/');
    return byName.get(`${service}/${method}`) ?? byName.get(`${service}/`) ?? byName.get('/') ?? NOTHING;
  };
}

function parse(text: unknown): unknown {
  try {
    return JSON.parse(String(text));
  } catch (error) {
    throw new MeshError('INMESH_OPTION_INVALID', 'grpc.service_config is no JSON', { cause: error });
  }
}

function settingsOf(config: unknown): MethodSettings {
  const waitForReady = field(config, 'waitForReady');
  return {
    timeoutMs: durationOf(field(config, 'timeout')),
    waitForReady: typeof waitForReady === 'boolean' ? waitForReady : undefined,
  };
}

const SECONDS = /^(\d+(?:\.\d{1,9})?)s$/;

/** A duration as JSON of protobuf writes it (`1.5s`), or as its message (`{ seconds, nanos }`). */
function durationOf(value: unknown): number | undefined {
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

function listOf(value: unknown, name: string): readonly unknown[] {
  const list = field(value, name) ?? [];
  if (Array.isArray(list)) return list;
  throw new MeshError('INMESH_OPTION_INVALID', `grpc.service_config: ${name} is no list`);
}

function textOf(value: unknown, name: string): string {
  const text = field(value, name) ?? '';
  if (typeof text === 'string') return text;
  throw new MeshError('INMESH_OPTION_INVALID', `grpc.service_config: ${name} of a method is no text`);
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined;
}
