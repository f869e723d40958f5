import type { JsonValue } from '@bufbuild/protobuf';
import { decodeStringMatcher } from '../../codec/matcher.js';
import { encodeNode } from '../../codec/node.js';
import { rootPath } from '../../codec/path.js';
import { decodeValueMatcher } from '../../codec/value-matcher.js';
import type { Node } from '../../model/node.js';
import type { matcher } from '../../proto/xds.js';
import { compileString } from '../../routing/match.js';
import { compileValue } from '../../routing/value-match.js';

const WHERE = rootPath('node_matchers');

/** Whether a node is one that is asked for. */
export type NodePredicate = (node: Node) => boolean;

/**
 * The nodes that a request chooses: those that one of the matchers fits; all when there is none.
 * @throws MeshError `INMESH_XDS_DECODE`.
 */
export function nodesChosen(matchers: readonly matcher.NodeMatcher[]): NodePredicate {
  if (matchers.length === 0) return () => true;
  const predicates = matchers.map(nodeMatches);
  return (node) => predicates.some((matches) => matches(node));
}

function nodeMatches({ nodeId, nodeMetadatas }: matcher.NodeMatcher): NodePredicate {
  const id = nodeId === undefined ? () => true : stringMatches(nodeId);
  const values = nodeMetadatas.map(({ path, value }) => {
    const keys = path.map(({ segment }) => (segment.case === 'key' ? segment.value : ''));
    const matches = value === undefined ? () => true : compileValue(decodeValueMatcher(value, WHERE));
    return { keys, matches };
  });
  return (node) => {
    if (!id(node.id)) return false;
    const metadata: JsonValue = encodeNode(node).metadata ?? {};
    return values.every(({ keys, matches }) => matches(valueAt(metadata, keys)));
  };
}

function valueAt(from: JsonValue, keys: readonly string[]): JsonValue | undefined {
  let at: JsonValue | undefined = from;
  for (const key of keys) {
    if (typeof at !== 'object' || at === null || Array.isArray(at) || !Object.hasOwn(at, key))
      return undefined;
    at = at[key];
  }
  return at;
}

function stringMatches(message: matcher.StringMatcher): (text: string) => boolean {
  return compileString(decodeStringMatcher(message, WHERE));
}
