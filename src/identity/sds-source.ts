import { create, toBinary } from '@bufbuild/protobuf';
import { readMessage } from '../proto/read-message.js';
import { core, discovery, rpc, tls } from '../proto/xds.js';
import type { Unsubscribe } from '../runtime/abort.js';
import type { Clock, Timer } from '../runtime/clock.js';
import { MeshError, messageOf } from '../runtime/errors.js';
import type { Logger } from '../runtime/log.js';
import type { Random } from '../runtime/random.js';
import { createX509Bundle, type X509Bundle } from './bundle.js';
import {
  type AgentCredentials,
  type CallFailure,
  type ChannelSpec,
  GrpcStatus,
  type OpenStream,
  openStream,
} from './grpc-channel.js';
import { type KeptStream, keepStream } from './kept-stream.js';
import type { RotatingSource } from './rotation.js';
import { readRootsSecret, readSvidSecret, type SdsRoots } from './sds-secrets.js';
import { createSettableSource } from './source.js';
import type { X509Svid } from './x509-svid.js';

const PATH = '/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets';
const TYPE_URL = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret';
const READY_TIMEOUT_MS = 15_000;
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

/** Which agent serves the identity, under which names. */
export interface SdsSourceOptions {
  /** gRPC target: `unix:///var/run/secrets/workload-spiffe-uds/socket`, `127.0.0.1:8234`. */
  readonly target: string;
  /** Default: plaintext, which suits a socket of this machine only. */
  readonly credentials?: AgentCredentials | undefined;
  /** Name of the secret with certificate and key. Default `default`, as of Istio's and SPIRE's agents. */
  readonly certificateName?: string | undefined;
  /** Name of the secret with the roots. Default `ROOTCA`; SPIRE's `ALL` adds those of federated trust domains. */
  readonly rootsName?: string | undefined;
  /** ID of this node towards the agent. Default `inmesh`. */
  readonly nodeId?: string | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** After this long without an identity `ready` rejects; default 15 seconds. */
  readonly readyTimeoutMs?: number | undefined;
}

/** Takes certificate, key and roots from an agent that speaks Envoy's secret discovery (SDS), and follows its changes. */
export function createSdsSource(options: SdsSourceOptions): RotatingSource {
  return new SdsSource(options);
}

class SdsSource implements RotatingSource {
  readonly ready: Promise<void>;
  readonly #options: SdsSourceOptions;
  readonly #source = createSettableSource();
  /** One for each secret, as Envoy has it: agents answer for the name of a stream. */
  readonly #streams: readonly KeptStream[];
  readonly #readyTimer: Timer;
  #settleReady: (error?: MeshError) => void = () => {};
  #svid: X509Svid | undefined;
  #roots: SdsRoots | undefined;
  #lastError: MeshError | undefined;

  constructor(options: SdsSourceOptions) {
    this.#options = options;
    const {
      clock,
      certificateName = 'default',
      rootsName = 'ROOTCA',
      readyTimeoutMs = READY_TIMEOUT_MS,
    } = options;
    this.ready = new Promise((resolve, reject) => {
      this.#settleReady = (error) => {
        this.#readyTimer.cancel();
        if (error === undefined) resolve();
        else reject(error);
      };
    });
    // Nobody has to wait for it; whoever does still sees the rejection.
    this.ready.catch(() => {});
    // Keeps the process alive: the streams alone do not, and somebody may wait.
    const giveUp = () =>
      this.#settleReady(this.#lastError ?? unavailable(options.target, 'it sent nothing in time'));
    this.#readyTimer = clock.schedule(readyTimeoutMs, giveUp, true);
    this.#streams = [
      this.#follow(certificateName, (secret) => {
        this.#svid = readSvidSecret(secret);
      }),
      this.#follow(rootsName, (secret) => {
        this.#roots = readRootsSecret(secret);
      }),
    ];
  }

  svid(): X509Svid | undefined {
    return this.#source.svid();
  }

  bundle(trustDomain: string): X509Bundle | undefined {
    return this.#source.bundle(trustDomain);
  }

  federated(): readonly string[] {
    return this.#source.federated?.() ?? [];
  }

  onUpdate(listener: () => void): Unsubscribe {
    return this.#source.onUpdate(listener);
  }

  /** The agent renews by itself; what can be done is to find it again at once. */
  async renewNow(): Promise<void> {
    for (const stream of this.#streams) stream.hurry();
    if (this.svid() === undefined) await this.ready;
  }

  close(): void {
    this.#settleReady(new MeshError('INMESH_CLOSED', 'the identity source is closed'));
    for (const stream of this.#streams) stream.close();
  }

  #follow(name: string, use: (secret: tls.Secret) => void): KeptStream {
    const { target, credentials, clock, random, logger, nodeId = 'inmesh' } = this.#options;
    const channel: ChannelSpec = { target, credentials, metadata: {}, maxMessageBytes: MAX_MESSAGE_BYTES };
    const subscription = new Subscription(name, nodeId);
    let stream: OpenStream | undefined;
    let told: number | undefined;
    return keepStream({
      clock,
      random,
      open: async (listener) => {
        stream = await openStream(channel, PATH, undefined, listener);
        stream.send(subscription.first());
        return stream;
      },
      message: (bytes) => {
        told = undefined;
        stream?.send(subscription.answer(bytes, use, (error) => this.#refused(name, error)));
        this.#apply();
      },
      ended: (failure) => {
        this.#lastError = unavailable(target, failure.message, failure);
        const level = failure.status === told ? 'debug' : 'warn';
        logger[level]({ secret: name, error: messageOf(this.#lastError) }, 'the stream of secrets ended');
        told = failure.status;
        return isFinal(failure) ? this.#giveUp(this.#lastError) : 'retry';
      },
    });
  }

  #giveUp(error: MeshError): 'stop' {
    this.#settleReady(error);
    return 'stop';
  }

  #refused(name: string, error: MeshError): void {
    this.#lastError = error;
    this.#options.logger.warn(
      { secret: name, error: messageOf(error) },
      'a secret is refused; the last one is used',
    );
  }

  #apply(): void {
    const [svid, roots] = [this.#svid, this.#roots];
    if (svid === undefined || roots === undefined) return;
    const { trustDomain } = svid.id;
    const bundles =
      roots.kind === 'own' ? [createX509Bundle(trustDomain, roots.pem)] : [...roots.bundles.values()];
    this.#source.set({ svid, bundles, federated: bundles.map((bundle) => bundle.trustDomain) });
    this.#settleReady();
  }
}

/** One name on one stream: what was used last is acknowledged, what can't be used is refused with the reason. */
class Subscription {
  readonly #name: string;
  readonly #node: core.Node;
  #version = '';

  constructor(name: string, nodeId: string) {
    this.#name = name;
    this.#node = create(core.NodeSchema, { id: nodeId });
  }

  first(): Uint8Array {
    return this.#request({ node: this.#node });
  }

  answer(
    bytes: Uint8Array,
    use: (secret: tls.Secret) => void,
    refused: (error: MeshError) => void,
  ): Uint8Array {
    let nonce = '';
    try {
      const response = readMessage(discovery.DiscoveryResponseSchema, bytes);
      nonce = response.nonce;
      for (const { value } of response.resources) {
        const secret = readMessage(tls.SecretSchema, value);
        if (secret.name === this.#name) use(secret);
      }
      this.#version = response.versionInfo;
      return this.#request({ responseNonce: nonce });
    } catch (error) {
      const problem = MeshError.is(error) ? error : malformed(messageOf(error));
      refused(problem);
      const errorDetail = create(rpc.StatusSchema, {
        code: GrpcStatus.invalidArgument,
        message: problem.message,
      });
      return this.#request({ responseNonce: nonce, errorDetail });
    }
  }

  #request(
    more: Partial<Pick<discovery.DiscoveryRequest, 'node' | 'responseNonce' | 'errorDetail'>>,
  ): Uint8Array {
    const request = { typeUrl: TYPE_URL, resourceNames: [this.#name], versionInfo: this.#version, ...more };
    return toBinary(discovery.DiscoveryRequestSchema, create(discovery.DiscoveryRequestSchema, request));
  }
}

function isFinal({ status }: CallFailure): boolean {
  return status === GrpcStatus.unimplemented;
}

function malformed(why: string): MeshError {
  return new MeshError('INMESH_SVID_INVALID', `a secret can't be read: ${why}`, {
    hint: 'Check that the agent speaks version 3 of the secret discovery service',
  });
}

function unavailable(target: string, why: string, cause?: unknown): MeshError {
  return new MeshError('INMESH_IDENTITY_UNAVAILABLE', `the agent does not supply an identity: ${why}`, {
    resource: target,
    cause,
    hint: 'Check that the agent runs, that this user may open its socket, and the names of its secrets',
  });
}
