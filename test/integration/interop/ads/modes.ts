import { framed, type GrpcCall, STATUS } from './grpc-stream.js';
import type { Hostility, IndependentAds, Outgoing } from './server.js';
import { putHost } from './shop.js';
import { TYPE_URLS } from './types.js';
import type { Resource } from './world.js';

/** One way to treat a client badly. */
export interface Mode {
  readonly name: string;
  readonly hostility?: Hostility;
  /** Turns on what is not about single responses, besides. */
  readonly arrange?: (ads: IndependentAds) => void;
  /** What shows that the client has met it; default: a response left. */
  readonly felt?: (ads: IndependentAds) => boolean;
  /** Whether the change gets through all the same. */
  readonly delivers?: boolean | 'either';
}

const GARBAGE = Buffer.from('ff00fe01fd02fc03', 'hex');
const wasRefused = (ads: IndependentAds) => ads.referee.nacks.length > 0;
const wasLeft = (ads: IndependentAds) => ads.openedAtMs.length > 1;

/** A response of a type that the test changes goes through `act`, the others go out well. */
const of =
  (type: Outgoing['type'], act: Hostility): Hostility =>
  (response, wire) =>
    response.type === type ? act(response, wire) : wire.send(response);

const bad = (one: Resource, value: Uint8Array): Resource => ({
  ...one,
  any: { ...one.any, value },
});

/** A message that starts as a resource of this name and then is no protobuf. */
function brokenResource(type: Outgoing['type'], name: string): Resource {
  const start = Buffer.concat([Buffer.from([0x0a, name.length]), Buffer.from(name)]);
  return {
    name,
    version: 'broken',
    any: { type_url: TYPE_URLS[type], value: Buffer.concat([start, Buffer.from([0x12, 0xff])]) },
  };
}

const stranger = (type: Outgoing['type'], name: string): Resource => ({
  name,
  version: 'strange',
  any: {
    type_url: TYPE_URLS[type],
    value: Buffer.concat([Buffer.from([0x0a, name.length]), Buffer.from(name)]),
  },
});

const nonces = new WeakMap<GrpcCall, Map<string, string>>();

/** The nonce of the first response of a type that left by `firstNonce`. */
function firstNonce({ type, nonce }: Outgoing, call: GrpcCall): string {
  const known = nonces.get(call) ?? new Map<string, string>();
  nonces.set(call, known);
  const first = known.get(type) ?? nonce;
  known.set(type, first);
  return first;
}

const pipes = new WeakMap<GrpcCall, Buffer[]>();

/** Sends a byte at a time, one message after the other. */
function trickle(bytes: Buffer, call: GrpcCall): void {
  const pipe = pipes.get(call);
  if (pipe !== undefined) {
    pipe.push(bytes);
    return;
  }
  const queue = [bytes];
  pipes.set(call, queue);
  let at = 0;
  const next = () => {
    const head = queue[0];
    if (head === undefined || call.isOver) {
      pipes.delete(call);
      return;
    }
    call.write(head.subarray(at, at + 1));
    at++;
    if (at === head.length) {
      queue.shift();
      at = 0;
    }
    setImmediate(next);
  };
  next();
}

const STREAM_ENDERS: readonly Mode[] = [
  { name: 'garbage in place of messages', hostility: (_, wire) => wire.call.send(GARBAGE), felt: wasLeft },
  {
    name: 'messages cut in the middle',
    hostility(response, wire) {
      const bytes = wire.encode(response);
      wire.call.send(bytes.subarray(0, bytes.length - 3));
    },
  },
  {
    name: 'frames cut in the middle, then a reset',
    hostility(response, wire) {
      const frame = framed(wire.encode(response));
      wire.call.write(frame.subarray(0, frame.length - 5));
      setImmediate(() => wire.call.reset());
    },
    felt: wasLeft,
  },
  {
    name: 'frames cut in the middle, then a regular end',
    hostility(response, wire) {
      wire.call.write(framed(wire.encode(response)).subarray(0, 9));
      wire.call.end(STATUS.OK);
    },
    felt: wasLeft,
  },
  {
    name: 'messages that claim two gigabytes',
    hostility: (_, wire) => wire.call.write(Buffer.from('007fffffff00', 'hex')),
    felt: wasLeft,
  },
  {
    name: 'messages that claim to be compressed',
    hostility(response, wire) {
      const frame = framed(wire.encode(response));
      frame[0] = 1;
      wire.call.write(frame);
    },
    felt: wasLeft,
  },
  { name: 'streams that end with OK', hostility: (_, wire) => wire.call.end(STATUS.OK), felt: wasLeft },
  {
    name: 'streams that end with an error',
    hostility: (_, wire) => wire.call.end(STATUS.UNAVAILABLE, 'flapping'),
    felt: wasLeft,
  },
  {
    name: 'streams that are reset after a response',
    hostility(response, wire) {
      wire.send(response);
      setImmediate(() => wire.call.reset());
    },
    felt: wasLeft,
    delivers: true,
  },
  {
    name: 'streams that are refused',
    arrange(ads) {
      ads.refusesStreams = true;
      ads.each((call) => call.end(STATUS.UNAVAILABLE, 'restart'));
    },
    felt: wasLeft,
  },
];

const DISTURBERS: readonly Mode[] = [
  { name: 'silence', hostility: () => {} },
  {
    name: 'responses of a type that nobody asked for',
    hostility(response, wire) {
      const other = response.type === 'SDS' ? response.type : 'SDS';
      wire.call.send(wire.encode({ ...response, typeUrl: TYPE_URLS[other] }));
    },
  },
  {
    name: 'responses of a type that nobody knows',
    hostility: (response, wire) =>
      wire.call.send(wire.encode({ ...response, typeUrl: 'type.googleapis.com/no.Such' })),
  },
  {
    name: 'responses without nonce',
    // Envoy takes them in state of the world, where an answer then looks like a new subscription.
    hostility(response, wire) {
      wire.expect({ ...response, nonce: '' }, 'either');
      wire.call.send(wire.encode({ ...response, nonce: '' }));
    },
    delivers: 'either',
  },
  {
    name: 'every response twice with one nonce',
    hostility(response, wire) {
      wire.send(response);
      wire.send(response);
    },
    delivers: true,
  },
  {
    name: 'old nonces for new responses',
    hostility(response, wire) {
      const nonce = firstNonce(response, wire.call);
      wire.send({ ...response, nonce });
      wire.send({ ...response, nonce });
    },
    delivers: true,
  },
  {
    name: 'one byte at a time',
    hostility(response, wire) {
      wire.expect(response);
      trickle(framed(wire.encode(response)), wire.call);
    },
    delivers: true,
  },
  {
    name: 'responses that come late',
    hostility: (response, wire) => void setTimeout(() => wire.send(response), 150),
    delivers: true,
  },
  {
    name: 'empty responses',
    hostility: (response, wire) =>
      response.type === 'LDS' || response.type === 'CDS'
        ? wire.send(response)
        : wire.send({ ...response, resources: [], removed: [] }),
  },
  {
    name: 'resources that nobody asked for',
    hostility: (response, wire) =>
      wire.send({
        ...response,
        resources:
          response.type === 'EDS' || response.type === 'RDS'
            ? [
                stranger(response.type, 'a-stranger'),
                ...response.resources,
                stranger(response.type, 'another'),
              ]
            : response.resources,
      }),
    delivers: true,
  },
  {
    name: 'a server that changes its mind about versions',
    hostility(response, wire) {
      wire.send({ ...response, version: 'z' });
      wire.send({ ...response, nonce: wire.nonce(), version: 'a' });
    },
    delivers: true,
  },
];

const REFUSED: readonly Mode[] = [
  {
    name: 'names that occur twice',
    hostility: of('EDS', (response, wire) =>
      wire.send({ ...response, resources: [...response.resources, ...response.resources] }, 'nack'),
    ),
    felt: wasRefused,
  },
  {
    name: 'resources of another type than the response',
    hostility: of('EDS', (response, wire) =>
      wire.send(
        {
          ...response,
          resources: response.resources.map((one) => ({
            ...one,
            any: { ...one.any, type_url: TYPE_URLS.CDS },
          })),
        },
        'nack',
      ),
    ),
    felt: wasRefused,
  },
  {
    name: 'resources that are garbage',
    hostility: of('EDS', (response, wire) =>
      wire.send({ ...response, resources: response.resources.map((one) => bad(one, GARBAGE)) }, 'nack'),
    ),
    felt: wasRefused,
  },
  {
    name: 'a bad resource beside good ones',
    arrange: (ads) => putHost(ads.world, 'broken.mesh', [1]),
    hostility: of('CDS', (response, wire) => {
      const isIn = response.resources.some(({ name }) => name === 'broken');
      const resources = response.resources.map((one) =>
        one.name === 'broken' ? brokenResource('CDS', 'broken') : one,
      );
      wire.send({ ...response, resources }, isIn ? 'nack' : 'ack');
    }),
    felt: wasRefused,
    delivers: true,
  },
  {
    name: 'endpoints that break a rule, resent at each refusal',
    arrange: (ads) => {
      ads.resendsOnNack = true;
    },
    hostility: of('EDS', (response, wire) =>
      wire.send(
        {
          ...response,
          resources: response.resources.map((one) => brokenResource('EDS', one.name)),
        },
        'nack',
      ),
    ),
    felt: wasRefused,
  },
];

/** Every hostile mode of the server. */
export const MODES: readonly Mode[] = [...STREAM_ENDERS, ...DISTURBERS, ...REFUSED];
