import { createRequire } from 'node:module';
import type { ChannelInterface, connectivityState } from '@grpc/grpc-js';

type ChannelRef = ReturnType<ChannelInterface['getChannelzRef']>;

/** The part of grpc-js that keeps the list of channels: it is not among its exports. */
interface Channelz {
  registerChannelzChannel(name: string, getInfo: () => object, isEnabled: boolean): ChannelRef;
  unregisterChannelzRef(ref: ChannelRef): void;
  ChannelzTrace: new () => { addTrace(severity: string, text: string): void };
  ChannelzCallTracker: new () => CallTracker;
  ChannelzChildrenTracker: new () => { getChildLists(): object };
}

interface CallTracker {
  addCallStarted(): void;
  addCallSucceeded(): void;
  addCallFailed(): void;
}

/** How a channel shows in channelz, the diagnostics of gRPC. */
export interface ChannelzEntry {
  readonly ref: ChannelRef;
  readonly calls: CallTracker | undefined;
  close(): void;
}

let loaded: Channelz | undefined | 'absent';

/** Lists a channel, unless it does not want that or this grpc-js keeps its list elsewhere. */
export function listChannel(
  target: string,
  isEnabled: boolean,
  state: () => connectivityState,
): ChannelzEntry {
  const channelz = isEnabled ? library() : undefined;
  if (channelz === undefined) return { ref: unlisted(target), calls: undefined, close() {} };
  const trace = new channelz.ChannelzTrace();
  const callTracker = new channelz.ChannelzCallTracker();
  const children = new channelz.ChannelzChildrenTracker();
  const info = () => ({ target, state: state(), trace, callTracker, children: children.getChildLists() });
  const ref = channelz.registerChannelzChannel(target, info, true);
  trace.addTrace('CT_INFO', 'Channel created');
  return { ref, calls: callTracker, close: () => channelz.unregisterChannelzRef(ref) };
}

function library(): Channelz | undefined {
  loaded ??= load() ?? 'absent';
  return loaded === 'absent' ? undefined : loaded;
}

function load(): Channelz | undefined {
  try {
    const module: Partial<Channelz> = createRequire(import.meta.url)('@grpc/grpc-js/build/src/channelz');
    const isWhole =
      typeof module.registerChannelzChannel === 'function' &&
      typeof module.unregisterChannelzRef === 'function' &&
      typeof module.ChannelzTrace === 'function' &&
      typeof module.ChannelzCallTracker === 'function' &&
      typeof module.ChannelzChildrenTracker === 'function';
    // Every part was just looked at.
    return isWhole ? (module as Channelz) : undefined;
  } catch {
    return undefined;
  }
}

/** As grpc-js gives for a channel that is not listed. */
function unlisted(name: string): ChannelRef {
  return { kind: 'channel', id: -1, name } as ChannelRef;
}
