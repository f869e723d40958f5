import type { core } from '../proto/xds.js';
import type { MeshError } from '../runtime/errors.js';
import { Channel, type ChannelOptions } from './channel.js';
import type { ProtocolKind } from './engine.js';
import type { DecodableType, Protocol, Received } from './protocol.js';
import type { XdsServer } from './server.js';

/** Hears what comes of a channel. */
export interface ChannelUser {
  /** The channel's state may have changed; the error tells why an attempt ended. */
  onState(channel: Channel, error: MeshError | undefined): void;
  /** The channel brought a response, which is in force now. */
  onAnswered(channel: Channel, typeUrl: string): void;
}

/** What all channels work with. */
export interface ChannelsOptions
  extends Pick<ChannelOptions, 'clock' | 'random' | 'isUrgent' | 'openStream'> {
  readonly node: core.Node;
  /** Makes an engine of a channel; `users` are those of the moment. */
  readonly createProtocol: (
    server: XdsServer,
    users: { has(user: ChannelUser): boolean },
    node: core.Node,
    kind: ProtocolKind,
  ) => Protocol;
  /** Puts what a response says in force. */
  readonly receive: (received: Received, channel: Channel) => void;
}

interface Shared {
  readonly channel: Channel;
  /** What each user wants of each type. */
  readonly wants: Map<ChannelUser, Map<DecodableType, ReadonlySet<string>>>;
}

/** The channels in use; equal servers share one (gRFC A47). */
export class Channels {
  readonly #options: ChannelsOptions;
  readonly #shared = new Map<string, Shared>();
  readonly #closing = new Set<Promise<void>>();
  #node: core.Node;

  constructor(options: ChannelsOptions) {
    this.#options = options;
    this.#node = options.node;
  }

  /** The channel to a server, opened by its first user. */
  acquire(server: XdsServer, user: ChannelUser): Channel {
    let shared = this.#shared.get(server.key);
    if (shared === undefined) {
      shared = this.#open(server);
      this.#shared.set(server.key, shared);
    }
    if (!shared.wants.has(user)) shared.wants.set(user, new Map());
    return shared.channel;
  }

  /** Gives a channel up; it closes with its last user. */
  release({ server }: Channel, user: ChannelUser): void {
    const shared = this.#shared.get(server.key);
    const wants = shared?.wants.get(user);
    if (shared === undefined || wants === undefined) return;
    shared.wants.delete(user);
    if (shared.wants.size > 0) {
      for (const type of wants.keys()) this.#subscribe(shared, type);
      return;
    }
    this.#shared.delete(server.key);
    const closing = shared.channel.close().finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }

  /** Replaces what a user wants of a type. */
  subscribe({ server }: Channel, user: ChannelUser, type: DecodableType, names: ReadonlySet<string>): void {
    const shared = this.#shared.get(server.key);
    shared?.wants.get(user)?.set(type, names);
    if (shared !== undefined) this.#subscribe(shared, type);
  }

  setNode(node: core.Node): void {
    this.#node = node;
    for (const { channel } of this.#shared.values()) channel.setNode(node);
  }

  async close(): Promise<void> {
    for (const { channel } of this.#shared.values()) this.#closing.add(channel.close());
    this.#shared.clear();
    await Promise.all(this.#closing);
  }

  #subscribe({ channel, wants }: Shared, type: DecodableType): void {
    const lists = [...wants.values()].flatMap((types) => types.get(type) ?? []);
    const [only, ...others] = lists;
    const names = others.length === 0 ? only : new Set(lists.flatMap((list) => [...list]));
    channel.subscribe(type, names ?? new Set());
  }

  #open(server: XdsServer): Shared {
    const { clock, random, isUrgent, openStream, createProtocol, receive } = this.#options;
    const wants: Shared['wants'] = new Map();
    let opened: Channel | undefined;
    const users = () => [...wants.keys()];
    const channel = new Channel({
      server,
      node: this.#node,
      createProtocol: (node, kind) => createProtocol(server, wants, node, kind),
      clock,
      random,
      isUrgent,
      openStream,
      onState(error) {
        // The first attempt begins before there is a channel to speak of.
        if (opened !== undefined) for (const user of users()) user.onState(opened, error);
      },
      onReceived(received) {
        if (opened === undefined) return;
        receive(received, opened);
        for (const user of users()) user.onAnswered(opened, received.typeUrl);
      },
    });
    opened = channel;
    return { channel, wants };
  }
}
