import { isOursAlone } from '../model/control-plane-name.js';
import type { MeshError } from '../runtime/errors.js';
import type { Logger } from '../runtime/log.js';
import type { Channel } from './channel.js';
import type { Channels, ChannelUser } from './channels.js';
import type { DecodableType } from './protocol.js';
import type { StreamState } from './resource-stream.js';
import type { XdsServer } from './server.js';

/** What an authority works with. */
export interface AuthorityOptions {
  readonly name: string;
  /** In order of preference. */
  readonly servers: readonly XdsServer[];
  readonly channels: Channels;
  readonly logger: Logger;
  /** Whether no server has spoken about a name yet. */
  readonly isUnanswered: (typeUrl: string, name: string) => boolean;
  /** A stream of its servers came or went. */
  readonly onState: (authority: Authority, error: MeshError | undefined) => void;
}

/** A server that an authority is connected to, or tries. */
export interface ServerState {
  readonly authority: string;
  readonly target: string;
  readonly state: StreamState;
  /** Whether it is the first of the list. */
  readonly isPreferred: boolean;
  /** Whether its last stream ended without a response. */
  readonly isFailing: boolean;
}

/**
 * Who answers for a part of the names (gRFC A47): the first of its servers, or, while that one fails and something
 * wanted was never answered, also the next (A71). With the first response of a better server the others are given up;
 * what they brought stays until the better one says otherwise.
 */
export class Authority implements ChannelUser {
  readonly name: string;
  readonly #options: AuthorityOptions;
  readonly #wants = new Map<DecodableType, ReadonlySet<string>>();
  /** In order of preference, each once. */
  readonly #servers: readonly XdsServer[];
  /** Types that a server spoke about. */
  readonly #answered = new Set<string>();
  /** Of the servers from the first to the one in use. */
  readonly #open: Channel[] = [];

  constructor(options: AuthorityOptions) {
    this.name = options.name;
    this.#options = options;
    const { servers } = options;
    this.#servers = servers.filter(({ key }, index) => servers.findIndex((one) => one.key === key) === index);
  }

  /** The best state of its servers. */
  get state(): StreamState {
    const states = this.#open.map(({ state }) => state);
    if (states.includes('connected')) return 'connected';
    return states.length > 0 && !states.includes('connecting') ? 'disconnected' : 'connecting';
  }

  /** Whether all of its servers were tried in vain. */
  get isDown(): boolean {
    return this.#open.length === this.#servers.length && this.#open.every(({ isFailing }) => isFailing);
  }

  /** The server in use. */
  get channel(): Channel | undefined {
    return this.#open.at(-1);
  }

  states(): readonly ServerState[] {
    return this.#open.map((channel) => ({
      authority: this.name,
      target: channel.server.target,
      state: channel.state,
      isPreferred: channel.server === this.#servers[0],
      isFailing: channel.isFailing,
    }));
  }

  /** Whether a server spoke about a type, so that it is known what its collections have. */
  hasAnswered(typeUrl: string): boolean {
    return this.#answered.has(typeUrl);
  }

  /** Whether a stream stands on which a type is asked for. */
  isReady(typeUrl: string): boolean {
    return this.#open.some((channel) => channel.isReady(typeUrl));
  }

  /** Connects to the first server; without it, the first subscription does. */
  connect(): void {
    if (this.#open.length === 0) this.#openNext();
  }

  /** Replaces the names of a type. */
  subscribe(type: DecodableType, names: ReadonlySet<string>): void {
    this.#wants.set(type, names);
    if (this.#open.length === 0) {
      if (names.size > 0) this.#openNext();
      return;
    }
    for (const channel of this.#open) this.#options.channels.subscribe(channel, this, type, names);
    this.#fallBack();
  }

  refresh(typeUrl: string): void {
    this.channel?.refresh(typeUrl);
  }

  onState(_: Channel, error: MeshError | undefined): void {
    this.#fallBack();
    this.#options.onState(this, error);
  }

  onAnswered(channel: Channel, typeUrl: string): void {
    this.#answered.add(typeUrl);
    const index = this.#open.indexOf(channel);
    const worse = this.#open.splice(index + 1);
    if (index < 0 || worse.length === 0) return;
    for (const one of worse) this.#options.channels.release(one, this);
    this.#options.logger.info(
      { authority: this.name, server: channel.server.target },
      'a preferred control plane answers again',
    );
  }

  #fallBack(): void {
    const { logger } = this.#options;
    const failing = this.channel;
    if (failing === undefined || !failing.isFailing || this.#open.length >= this.#servers.length) return;
    if (!this.#lacksSome()) return;
    for (const better of this.#open) better.forget();
    this.#openNext();
    logger.warn(
      { authority: this.name, failing: failing.server.target, server: this.channel?.server.target },
      'the control plane fails; asking the next one of the list',
    );
  }

  /** gRFC A71: as long as everything wanted was answered once, what is held is better than another server's view. */
  #lacksSome(): boolean {
    for (const [{ typeUrl }, names] of this.#wants) {
      // Whether a server has those depends on whose it is: no reason to look for another.
      for (const name of names)
        if (!isOursAlone(name) && this.#options.isUnanswered(typeUrl, name)) return true;
    }
    return false;
  }

  #openNext(): void {
    const { channels } = this.#options;
    const server = this.#servers[this.#open.length];
    if (server === undefined) return;
    const channel = channels.acquire(server, this);
    this.#open.push(channel);
    for (const [type, names] of this.#wants) channels.subscribe(channel, this, type, names);
  }
}
