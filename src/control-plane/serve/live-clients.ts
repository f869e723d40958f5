import type { Node } from '../../model/node.js';
import type { ResourceShortName } from '../../model/resource-short-name.js';
import type { Connected } from './xds-stream.js';

/** A client that is connected now, whatever the number of its streams. */
export interface LiveClient {
  readonly node: Node;
  /** What its connection proved; undefined on plaintext. */
  readonly spiffeId: string | undefined;
  /** Whether it asks for a resource. */
  asksFor(type: ResourceShortName, name: string): boolean;
  /** The content of a resource that it was sent last, if it accepted that. */
  accepted(type: ResourceShortName, name: string): Uint8Array | undefined;
}

/** The clients of streams; a client may have one for each type. */
export function liveClients(connected: Iterable<Connected>): readonly LiveClient[] {
  const byNode = new Map<string, Connected[]>();
  for (const one of connected) {
    const id = one.session.node?.id;
    if (id === undefined) continue;
    const streams = byNode.get(id);
    if (streams === undefined) byNode.set(id, [one]);
    else streams.push(one);
  }
  return [...byNode.values()].flatMap((streams) => {
    const [first] = streams;
    const node = first?.session.node;
    return first === undefined || node === undefined ? [] : [clientOf(node, first.spiffeId, streams)];
  });
}

function clientOf(node: Node, spiffeId: string | undefined, streams: readonly Connected[]): LiveClient {
  const ledgers = (type: ResourceShortName) =>
    streams.flatMap(({ session }) =>
      [...session.channels].flatMap(({ ledger }) => (ledger.type.short === type ? [ledger] : [])),
    );
  return {
    node,
    spiffeId,
    asksFor: (type, name) => ledgers(type).some(({ interest }) => interest.names.has(name)),
    accepted(type, name) {
      for (const ledger of ledgers(type)) {
        const isOpen = ledger.outstanding.some(({ resources }) => resources.some((one) => one.name === name));
        if (isOpen || ledger.refused.has(name)) continue;
        for (const one of ledger.toldResources()) if (one.name === name) return one.bytes;
      }
      return undefined;
    },
  };
}
