import { create, toBinary } from '@bufbuild/protobuf';
import { spiffeWorkload } from '../../proto/xds.js';
import type { Unsubscribe } from '../../runtime/abort.js';
import type { Clock } from '../../runtime/clock.js';
import { MeshError, messageOf } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/log.js';
import type { Random } from '../../runtime/random.js';
import type { X509Bundle } from '../bundle.js';
import { CallFailure, type ChannelSpec, callOnce, GrpcStatus, openStream } from '../grpc-channel.js';
import type { JwtBundle } from '../jwt-bundle.js';
import { type JwtSvid, readOwnJwtSvid } from '../jwt-svid.js';
import { type KeptStream, keepStream, type Verdict } from '../kept-stream.js';
import type { SpiffeId } from '../spiffe-id.js';
import { workloadTarget } from './endpoint.js';
import {
  decode,
  readJwtBundles,
  readJwtSvids,
  readX509Bundles,
  readX509Context,
  type X509Context,
} from './messages.js';

const CALL_TIMEOUT_MS = 10_000;
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

/** Where a Workload API is, and what its client works with. */
export interface WorkloadApiOptions {
  /** In the form of `SPIFFE_ENDPOINT_SOCKET`: `unix:///run/spire/agent.sock` or `tcp://127.0.0.1:8081`. */
  readonly endpoint: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Hears what a stream of the Workload API brings. */
export interface WorkloadWatcher<T> {
  /** The whole state: what is not in it any more is withdrawn. */
  update(state: T): void;
  /** The stream ended or brought what can't be used. It is opened again, but for INMESH_UNSUPPORTED. */
  failed?(error: MeshError): void;
  /** This workload may have nothing (any more). */
  withdrawn?(): void;
}

/** A subscription that is kept open until it is closed. */
export interface WorkloadWatch {
  /** Ends it. */
  readonly close: Unsubscribe;
  /** Tries again at once when it waits for its next attempt. */
  hurry(): void;
}

/** A client of the SPIFFE Workload API, as SPIRE's agent and others serve it. */
export interface WorkloadApiClient {
  /** Follows this workload's certificates, and the bundles to verify others with. */
  watchX509Context(watcher: WorkloadWatcher<X509Context>): WorkloadWatch;
  /** Follows the bundles only, for a workload without an identity of its own. */
  watchX509Bundles(watcher: WorkloadWatcher<ReadonlyMap<string, X509Bundle>>): WorkloadWatch;
  /** Follows the keys that sign JWT-SVIDs. */
  watchJwtBundles(watcher: WorkloadWatcher<ReadonlyMap<string, JwtBundle>>): WorkloadWatch;
  /** Fetches new tokens for an audience: of every identity that this workload has, or of one. The first is the default. */
  fetchJwtSvids(audience: string | readonly string[], id?: SpiffeId): Promise<readonly JwtSvid[]>;
  /** Lets the agent validate a token for an audience. */
  validateJwtSvid(token: string, audience: string): Promise<JwtSvid>;
}

/** Makes a client; it connects when something is asked. */
export function createWorkloadApiClient(options: WorkloadApiOptions): WorkloadApiClient {
  const channel: ChannelSpec = {
    target: workloadTarget(options.endpoint),
    // Workload Endpoint §3: proves that whoever calls controls the metadata, which a forged request does not.
    metadata: { 'workload.spiffe.io': 'true' },
    maxMessageBytes: MAX_MESSAGE_BYTES,
  };
  const watch = <T>(method: string, read: (bytes: Uint8Array) => T, watcher: WorkloadWatcher<T>) =>
    watchStream({ ...options, channel, method, read }, watcher);
  const call = async (method: string, request: Uint8Array) => {
    try {
      const tools = { clock: options.clock, timeoutMs: CALL_TIMEOUT_MS };
      return await callOnce(channel, pathOf(method), request, tools);
    } catch (error) {
      throw explain(error, options.endpoint);
    }
  };
  return {
    watchX509Context: (watcher) => watch('FetchX509SVID', readX509Context, watcher),
    watchX509Bundles: (watcher) => watch('FetchX509Bundles', readX509Bundles, watcher),
    watchJwtBundles: (watcher) => watch('FetchJWTBundles', readJwtBundles, watcher),
    async fetchJwtSvids(audience, id) {
      const names = typeof audience === 'string' ? [audience] : audience;
      if (names.length === 0 || names.includes('')) throw noAudience();
      const schema = spiffeWorkload.JWTSVIDRequestSchema;
      const request = create(schema, { audience: [...names], spiffeId: id?.toString() ?? '' });
      return readJwtSvids(await call('FetchJWTSVID', toBinary(schema, request)), names);
    },
    async validateJwtSvid(token, audience) {
      if (audience === '') throw noAudience();
      // Before the agent sees it: what is no token at all, or not for this audience, need not leave the process.
      const svid = readOwnJwtSvid(token, audience);
      const schema = spiffeWorkload.ValidateJWTSVIDRequestSchema;
      const answer = await call(
        'ValidateJWTSVID',
        toBinary(schema, create(schema, { audience, svid: token })),
      );
      const { spiffeId } = decode(spiffeWorkload.ValidateJWTSVIDResponseSchema, answer);
      if (spiffeId !== svid.id.toString()) throw wrongAnswer(spiffeId, svid.id);
      return svid;
    },
  };
}

interface StreamOptions<T> extends WorkloadApiOptions {
  readonly channel: ChannelSpec;
  readonly method: string;
  readonly read: (bytes: Uint8Array) => T;
}

function watchStream<T>(options: StreamOptions<T>, watcher: WorkloadWatcher<T>): WorkloadWatch {
  const { channel, method, read, endpoint, clock, random, logger } = options;
  let told: number | undefined;
  const failed = (error: MeshError) => {
    watcher.failed?.(error);
    return error;
  };
  const stream: KeptStream = keepStream({
    clock,
    random,
    // The request has no fields.
    open: (listener) => openStream(channel, pathOf(method), new Uint8Array(), listener),
    message(bytes) {
      told = undefined;
      let state: T;
      try {
        state = read(bytes);
      } catch (error) {
        // What came before stays in use.
        logger.warn({ method, error: messageOf(failed(explain(error, endpoint))) }, 'an answer is not used');
        return;
      }
      watcher.update(state);
    },
    ended(failure): Verdict {
      const error = failed(explain(failure, endpoint));
      const isFinal = FINAL.has(failure.status);
      // Once for each cause: the attempts that follow fail for the same reason.
      const level = isFinal ? 'error' : failure.status === told ? 'debug' : 'warn';
      logger[level]({ method, error: messageOf(error) }, 'the stream of the Workload API ended');
      told = failure.status;
      if (failure.status === GrpcStatus.permissionDenied) watcher.withdrawn?.();
      return isFinal ? 'stop' : 'retry';
    },
  });
  return { close: () => stream.close(), hurry: () => stream.hurry() };
}

/** Workload Endpoint, Appendix A: after these a client does not try again. */
const FINAL: ReadonlySet<number> = new Set([GrpcStatus.invalidArgument, GrpcStatus.unimplemented]);

/** The service has no package. */
function pathOf(method: string): string {
  return `/SpiffeWorkloadAPI/${method}`;
}

function explain(error: unknown, endpoint: string): MeshError {
  if (MeshError.is(error)) return error;
  const status = error instanceof CallFailure ? error.status : undefined;
  const what = messageOf(error);
  if (status === GrpcStatus.permissionDenied) {
    return new MeshError('INMESH_CA_REFUSED', `the Workload API has no identity for this workload: ${what}`, {
      resource: endpoint,
      cause: error,
      hint: 'Register this workload with the agent (for SPIRE: spire-server entry create); it is asked again',
    });
  }
  if (status !== undefined && FINAL.has(status)) {
    return new MeshError('INMESH_UNSUPPORTED', `the Workload API does not take this call: ${what}`, {
      resource: endpoint,
      cause: error,
      hint: 'Check that the endpoint is that of a SPIFFE Workload API, and which profiles its operator enabled',
    });
  }
  return new MeshError('INMESH_IDENTITY_UNAVAILABLE', `the Workload API does not answer: ${what}`, {
    resource: endpoint,
    cause: error,
    hint: 'Check that the agent runs and that this user may open its socket; it is asked again',
  });
}

function noAudience(): MeshError {
  return new MeshError('INMESH_OPTION_INVALID', 'a JWT-SVID needs an audience', {
    hint: 'Name the service that the token is for',
  });
}

function wrongAnswer(got: string, wanted: SpiffeId): MeshError {
  return new MeshError('INMESH_JWT_SVID_INVALID', `the Workload API validated the token of ${got}`, {
    resource: wanted.toString(),
    hint: 'Check the agent: it answered for another token',
  });
}
