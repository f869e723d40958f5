import * as grpc from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import type {
  SimpleResponse,
  StreamingInputCallResponse,
  StreamingOutputCallRequest,
} from './interop-messages.js';
import type { TestClient } from './interop-service.js';

type Metadata = grpc.Metadata;

/** What became of a call. */
interface Outcome<A> {
  readonly answer: A | undefined;
  readonly code: grpc.status;
  readonly details: string;
  readonly initial: Metadata | undefined;
  readonly trailing: Metadata;
}

type Caller<A> = (
  callback: (error: grpc.ServiceError | null, answer?: A) => void,
) => grpc.ClientUnaryCall | grpc.ClientWritableStream<unknown>;

function outcomeOf<A>(start: Caller<A>): Promise<Outcome<A>> {
  return new Promise((resolve) => {
    let [initial, answer]: [Metadata | undefined, A | undefined] = [undefined, undefined];
    const call = start((_error, value) => {
      answer = value;
    });
    call.on('metadata', (metadata: Metadata) => {
      initial = metadata;
    });
    call.on('status', ({ code, details, metadata }: grpc.StatusObject) =>
      resolve({ answer, code, details, initial, trailing: metadata }),
    );
  });
}

interface StreamEnd {
  readonly sizes: readonly number[];
  readonly code: grpc.status;
  readonly details: string;
  readonly initial: Metadata | undefined;
  readonly trailing: Metadata;
}

type Output = { payload?: { body?: Uint8Array } };

function endOf(
  call: grpc.ClientReadableStream<Output> | grpc.ClientDuplexStream<StreamingOutputCallRequest, Output>,
  onMessage: (count: number) => void = () => {},
): Promise<StreamEnd> {
  return new Promise((resolve) => {
    const sizes: number[] = [];
    let initial: Metadata | undefined;
    call.on('metadata', (metadata: Metadata) => {
      initial = metadata;
    });
    call.on('data', ({ payload }: Output) => {
      sizes.push(payload?.body?.byteLength ?? 0);
      onMessage(sizes.length);
    });
    call.on('error', () => {});
    call.on('status', ({ code, details, metadata }: grpc.StatusObject) =>
      resolve({ sizes, code, details, initial, trailing: metadata }),
    );
  });
}

const zeros = (size: number) => ({ body: Buffer.alloc(size) });
const LARGE = { responseSize: 314_159, payload: zeros(271_828) };
const ECHO_INITIAL = 'x-grpc-test-echo-initial';
const ECHO_TRAILING = 'x-grpc-test-echo-trailing-bin';

/** The cases of gRPC's interop tests, from their public description, by a client of the test service. */
export function interopCases(client: () => TestClient): void {
  const none = () => new grpc.Metadata();

  test('empty_unary', async () => {
    const { code, answer } = await outcomeOf((done) => client().emptyCall({}, none(), {}, done));
    expect([code, answer]).toEqual([grpc.status.OK, {}]);
  });

  test('large_unary', async () => {
    const { code, answer } = await outcomeOf<SimpleResponse>((done) =>
      client().unaryCall(LARGE, none(), {}, done),
    );
    expect(code).toBe(grpc.status.OK);
    expect(answer?.payload?.body?.byteLength).toBe(314_159);
  });

  test('client_streaming', async () => {
    const { code, answer } = await outcomeOf<StreamingInputCallResponse>((done) => {
      const call = client().streamingInputCall(none(), {}, done);
      for (const size of [27_182, 8, 1828, 45_904]) call.write({ payload: zeros(size) });
      call.end();
      return call;
    });
    expect([code, answer?.aggregatedPayloadSize]).toEqual([grpc.status.OK, 74_922]);
  });

  test('server_streaming', async () => {
    const responseParameters = [31_415, 9, 2653, 58_979].map((size) => ({ size }));
    const { code, sizes } = await endOf(client().streamingOutputCall({ responseParameters }));
    expect([code, sizes]).toEqual([grpc.status.OK, [31_415, 9, 2653, 58_979]]);
  });

  test('ping_pong', async () => {
    const steps = [
      [31_415, 27_182],
      [9, 8],
      [2653, 1828],
      [58_979, 45_904],
    ] as const;
    const call = client().fullDuplexCall();
    const send = (at: number) => {
      const step = steps[at];
      if (step === undefined) call.end();
      else call.write({ responseParameters: [{ size: step[0] }], payload: zeros(step[1]) });
    };
    send(0);
    const { code, sizes } = await endOf(call, send);
    expect([code, sizes]).toEqual([grpc.status.OK, [31_415, 9, 2653, 58_979]]);
  });

  test('empty_stream', async () => {
    const call = client().fullDuplexCall();
    call.end();
    const { code, sizes } = await endOf(call);
    expect([code, sizes]).toEqual([grpc.status.OK, []]);
  });

  test('custom_metadata', async () => {
    const metadata = none();
    metadata.set(ECHO_INITIAL, 'test_initial_metadata_value');
    metadata.set(ECHO_TRAILING, Buffer.from([0xab, 0xab, 0xab]));
    const unary = await outcomeOf((done) => client().unaryCall(LARGE, metadata, {}, done));
    const call = client().fullDuplexCall(metadata);
    call.write({ responseParameters: [{ size: 314_159 }], payload: zeros(271_828) });
    call.end();
    const duplex = await endOf(call);
    for (const { code, initial, trailing } of [unary, duplex]) {
      expect(code).toBe(grpc.status.OK);
      expect(initial?.get(ECHO_INITIAL)).toEqual(['test_initial_metadata_value']);
      expect(trailing.get(ECHO_TRAILING)).toEqual([Buffer.from([0xab, 0xab, 0xab])]);
    }
  });

  test('status_code_and_message', async () => {
    const responseStatus = { code: 2, message: 'test status message' };
    const unary = await outcomeOf((done) => client().unaryCall({ responseStatus }, none(), {}, done));
    const call = client().fullDuplexCall();
    call.write({ responseStatus });
    call.end();
    const duplex = await endOf(call);
    for (const { code, details } of [unary, duplex]) {
      expect([code, details]).toEqual([grpc.status.UNKNOWN, 'test status message']);
    }
  });

  test('special_status_message', async () => {
    const message = '\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n';
    const responseStatus = { code: 2, message };
    const { code, details } = await outcomeOf((done) =>
      client().unaryCall({ responseStatus }, none(), {}, done),
    );
    expect([code, details]).toEqual([grpc.status.UNKNOWN, message]);
  });

  test('unimplemented_method', async () => {
    const { code } = await outcomeOf((done) => client().unimplementedCall({}, none(), {}, done));
    expect(code).toBe(grpc.status.UNIMPLEMENTED);
  });

  test('unimplemented_service', async () => {
    const { code } = await outcomeOf((done) => client().unimplementedService({}, none(), {}, done));
    expect(code).toBe(grpc.status.UNIMPLEMENTED);
  });

  test('cancel_after_begin', async () => {
    const { code } = await outcomeOf((done) => {
      const call = client().streamingInputCall(none(), {}, done);
      call.cancel();
      return call;
    });
    expect(code).toBe(grpc.status.CANCELLED);
  });

  test('cancel_after_first_response', async () => {
    const call = client().fullDuplexCall();
    call.write({ responseParameters: [{ size: 31_415 }], payload: zeros(27_182) });
    const { code, sizes } = await endOf(call, () => call.cancel());
    expect([code, sizes]).toEqual([grpc.status.CANCELLED, [31_415]]);
  });

  test('timeout_on_sleeping_server', async () => {
    const call = client().fullDuplexCall(none(), { deadline: Date.now() + 1 });
    call.write({ payload: zeros(27_182) });
    const { code } = await endOf(call);
    expect(code).toBe(grpc.status.DEADLINE_EXCEEDED);
  });

  test('concurrent_large_unary', async () => {
    const calls = Array.from({ length: 12 }, () =>
      outcomeOf((done) => client().unaryCall(LARGE, none(), {}, done)),
    );
    const codes = (await Promise.all(calls)).map(({ code }) => code);
    expect(new Set(codes)).toEqual(new Set([grpc.status.OK]));
  });
}
