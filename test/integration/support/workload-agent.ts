import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  type Metadata,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import type { X509Bundle } from '../../../src/identity/bundle.js';
import type { X509Svid } from '../../../src/identity/x509-svid.js';
import { spiffeWorkload } from '../../../src/proto/xds.js';

const asIs = (bytes: Buffer) => bytes;
const method = (name: string, responseStream: boolean) => ({
  path: `/SpiffeWorkloadAPI/${name}`,
  requestStream: false as const,
  responseStream,
  requestSerialize: asIs,
  requestDeserialize: asIs,
  responseSerialize: asIs,
  responseDeserialize: asIs,
});

const definition = {
  FetchX509SVID: method('FetchX509SVID', true),
  FetchX509Bundles: method('FetchX509Bundles', true),
  FetchJWTBundles: method('FetchJWTBundles', true),
  FetchJWTSVID: method('FetchJWTSVID', false),
  ValidateJWTSVID: method('ValidateJWTSVID', false),
};

type StreamName = 'FetchX509SVID' | 'FetchX509Bundles' | 'FetchJWTBundles';
type Refusal = { readonly code: status; readonly details: string };

/** An agent that serves what a test sets, over a real socket. */
export class WorkloadAgent {
  /** What each stream sends now; a refusal ends it. */
  readonly state = new Map<StreamName, Uint8Array | Refusal>();
  readonly calls: string[] = [];
  mint: (audience: readonly string[], id: string) => Promise<readonly { id: string; token: string }[]> =
    async () => [];
  validate: (token: string) => string = () => '';
  readonly #streams = new Map<ServerWritableStream<Buffer, Buffer>, StreamName>();
  #server: Server | undefined;

  async start(address: string): Promise<void> {
    const server = new Server();
    server.addService(definition, {
      FetchX509SVID: (call: ServerWritableStream<Buffer, Buffer>) => this.#serve('FetchX509SVID', call),
      FetchX509Bundles: (call: ServerWritableStream<Buffer, Buffer>) => this.#serve('FetchX509Bundles', call),
      FetchJWTBundles: (call: ServerWritableStream<Buffer, Buffer>) => this.#serve('FetchJWTBundles', call),
      FetchJWTSVID: (call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) =>
        void this.#mint(call, done),
      ValidateJWTSVID: (call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) =>
        this.#validate(call, done),
    });
    await new Promise<void>((resolve, reject) => {
      server.bindAsync(address, ServerCredentials.createInsecure(), (error) =>
        error ? reject(error) : resolve(),
      );
    });
    this.#server = server;
  }

  stop(): void {
    this.#server?.forceShutdown();
    this.#streams.clear();
  }

  /** Sets what a stream sends, and sends it on those that stand. */
  set(name: StreamName, next: Uint8Array | Refusal): void {
    this.state.set(name, next);
    for (const [stream, its] of this.#streams) if (its === name) this.#send(stream, next);
  }

  #serve(name: StreamName, call: ServerWritableStream<Buffer, Buffer>): void {
    this.calls.push(name);
    const refusal = this.#refusal(call.metadata) ?? this.state.get(name);
    if (refusal === undefined) return;
    this.#streams.set(call, name);
    call.on('cancelled', () => this.#streams.delete(call));
    this.#send(call, refusal);
  }

  #send(call: ServerWritableStream<Buffer, Buffer>, next: Uint8Array | Refusal): void {
    if (next instanceof Uint8Array) {
      call.write(Buffer.from(next));
      return;
    }
    this.#streams.delete(call);
    call.emit('error', next);
  }

  /** The standard: without the header a call is refused. */
  #refusal(metadata: Metadata): Refusal | undefined {
    if (metadata.get('workload.spiffe.io')[0] === 'true') return undefined;
    return { code: status.INVALID_ARGUMENT, details: 'security header missing from request' };
  }

  async #mint(call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>): Promise<void> {
    this.calls.push('FetchJWTSVID');
    const refusal = this.#refusal(call.metadata);
    if (refusal !== undefined) {
      done(refusal);
      return;
    }
    const { audience, spiffeId } = fromBinary(spiffeWorkload.JWTSVIDRequestSchema, call.request);
    const svids = (await this.mint(audience, spiffeId)).map(({ id, token }) => ({
      spiffeId: id,
      svid: token,
    }));
    const schema = spiffeWorkload.JWTSVIDResponseSchema;
    if (svids.length === 0) done({ code: status.PERMISSION_DENIED, details: 'no identity issued' });
    else done(null, Buffer.from(toBinary(schema, create(schema, { svids }))));
  }

  #validate(call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>): void {
    const refusal = this.#refusal(call.metadata);
    if (refusal !== undefined) {
      done(refusal);
      return;
    }
    const { svid } = fromBinary(spiffeWorkload.ValidateJWTSVIDRequestSchema, call.request);
    const schema = spiffeWorkload.ValidateJWTSVIDResponseSchema;
    done(null, Buffer.from(toBinary(schema, create(schema, { spiffeId: this.validate(svid) }))));
  }
}

/** The certificates of a bundle, as the Workload API has them. */
export const derOf = (bundle: X509Bundle): Buffer =>
  Buffer.concat(bundle.certificates.map(({ certificate }) => certificate.raw));

export interface AgentSvid {
  readonly svid: X509Svid;
  readonly bundle: X509Bundle;
  readonly hint?: string;
}

/** X509SVIDResponse. */
export function x509Response(svids: readonly AgentSvid[], federated: readonly X509Bundle[] = []): Uint8Array {
  const schema = spiffeWorkload.X509SVIDResponseSchema;
  return toBinary(
    schema,
    create(schema, {
      svids: svids.map(({ svid, bundle, hint = '' }) => ({
        spiffeId: svid.id.toString(),
        x509Svid: svid.leaf.raw,
        x509SvidKey: svid.privateKey.export({ type: 'pkcs8', format: 'der' }),
        bundle: derOf(bundle),
        hint,
      })),
      federatedBundles: Object.fromEntries(
        federated.map((bundle) => [`spiffe://${bundle.trustDomain}`, derOf(bundle)]),
      ),
    }),
  );
}
