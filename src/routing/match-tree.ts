import type {
  ConnectionInput,
  MatchInput,
  MatchNode,
  MatchPredicate,
  MatchTree,
  OnMatch,
} from '../model/match-tree.js';
import { unreachable } from '../runtime/errors.js';
import type { ConnectionInfo } from '../service/connection.js';
import type { RouteInput } from './conditions.js';
import { compileString, headerReader } from './match.js';

/** Finds the action of a request. */
export type Chooser<A> = (input: RouteInput) => A | undefined;

/** Compiles a match tree: what finds nothing further down does not count as a match. */
export function compileMatchTree<A>({ node, otherwise }: MatchTree<A>): Chooser<A> {
  const find = node === undefined ? undefined : compileNode(node);
  const rest = otherwise === undefined ? undefined : compileStep(otherwise);
  return (input) => find?.(input) ?? rest?.(input);
}

function compileNode<A>(node: MatchNode<A>): Chooser<A> {
  if (node.kind === 'list') {
    const entries = node.entries.map(({ predicate, onMatch }) => ({
      test: compilePredicate(predicate),
      step: compileStep(onMatch),
    }));
    return (input) => {
      for (const { test, step } of entries) {
        const found = test(input) ? step(input) : undefined;
        if (found !== undefined) return found;
      }
      return undefined;
    };
  }
  const read = compileInput(node.input);
  const steps = new Map([...node.entries].map(([key, step]) => [key, compileStep(step)] as const));
  return node.kind === 'exact-map' ? exactMap(read, steps) : prefixMap(read, steps);
}

type Read = (input: RouteInput) => string | undefined;

function exactMap<A>(read: Read, steps: ReadonlyMap<string, Chooser<A>>): Chooser<A> {
  return (input) => {
    const value = read(input);
    return value === undefined ? undefined : steps.get(value)?.(input);
  };
}

/** The longest prefix first; a shorter one when it finds nothing. */
function prefixMap<A>(read: Read, steps: ReadonlyMap<string, Chooser<A>>): Chooser<A> {
  const lengths = [...new Set([...steps.keys()].map((key) => key.length))].sort((a, b) => b - a);
  return (input) => {
    const value = read(input);
    if (value === undefined) return undefined;
    for (const length of lengths) {
      const found = length > value.length ? undefined : steps.get(value.slice(0, length))?.(input);
      if (found !== undefined) return found;
    }
    return undefined;
  };
}

function compileStep<A>(step: OnMatch<A>): Chooser<A> {
  // Envoy: an action that is passed over is only told to whoever asks for it; nobody here does.
  if (step.keepMatching) return () => undefined;
  if (step.kind === 'tree') return compileMatchTree(step.tree);
  const { action } = step;
  return () => action;
}

function compilePredicate(predicate: MatchPredicate): (input: RouteInput) => boolean {
  switch (predicate.kind) {
    case 'value': {
      const read = compileInput(predicate.input);
      const test = compileString(predicate.matcher);
      return (input) => {
        const value = read(input);
        return value !== undefined && test(value);
      };
    }
    case 'or': {
      const tests = predicate.predicates.map(compilePredicate);
      return (input) => tests.some((test) => test(input));
    }
    case 'and': {
      const tests = predicate.predicates.map(compilePredicate);
      return (input) => tests.every((test) => test(input));
    }
    case 'not': {
      const test = compilePredicate(predicate.predicate);
      return (input) => !test(input);
    }
    default:
      return unreachable(predicate);
  }
}

function compileInput(input: MatchInput): Read {
  if (input.kind === 'filter-state') {
    const { key } = input;
    return ({ context }) => {
      const value = context?.filterState?.get(key);
      return typeof value === 'string' ? value : undefined;
    };
  }
  if (input.kind === 'connection') return connectionReader(input.of);
  const read = headerReader(input.name);
  return (head) => {
    const values = read(head);
    return values.length > 1 ? values.join(',') : values[0];
  };
}

function connectionReader(of: ConnectionInput): Read {
  return ({ context }) => {
    const connection = context?.connection;
    const value = connection && connectionValue(connection, of);
    return value === undefined ? undefined : String(value);
  };
}

function connectionValue(connection: ConnectionInfo, of: ConnectionInput): string | number | undefined {
  switch (of) {
    case 'destination-ip':
      return connection.local?.address;
    case 'destination-port':
      return connection.local?.port;
    case 'source-ip':
      return connection.remote?.address;
    case 'source-port':
      return connection.remote?.port;
    case 'direct-source-ip':
      return connection.directRemote?.address;
    case 'server-name':
      // Envoy: without TLS there is no such name, and nothing to match.
      return connection.tls?.serverName || undefined;
    default:
      return unreachable(of);
  }
}
