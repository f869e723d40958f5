import { BlockList, isIP } from 'node:net';
import type {
  AddressRange,
  FilterStateMatcher,
  MetadataMatcher,
  ValueMatcher,
} from '../model/value-matcher.js';
import { unreachable } from '../runtime/errors.js';
import type { DynamicMetadata } from '../service/context.js';
import { compileString } from './match.js';

/** Tests a value of metadata; undefined = there is none. */
export type ValuePredicate = (value: unknown) => boolean;

/** Compiles a ValueMatcher. */
export function compileValue(matcher: ValueMatcher): ValuePredicate {
  switch (matcher.kind) {
    case 'string': {
      const test = compileString(matcher.matcher);
      return (value) => typeof value === 'string' && test(value);
    }
    case 'bool':
    case 'number':
      return (value) => value === matcher.value;
    case 'range':
      return (value) => typeof value === 'number' && value >= matcher.start && value < matcher.end;
    case 'null':
      return (value) => value === null;
    case 'present':
      return (value) => matcher.value && value !== undefined;
    case 'one-of': {
      const test = compileValue(matcher.matcher);
      return (value) => Array.isArray(value) && value.some(test);
    }
    case 'or': {
      const tests = matcher.matchers.map(compileValue);
      return (value) => tests.some((test) => test(value));
    }
    default:
      return unreachable(matcher);
  }
}

/** Compiles a MetadataMatcher. What is not there matches nothing, before it is inverted. */
export function compileMetadata(
  matcher: MetadataMatcher,
): (metadata: DynamicMetadata | undefined) => boolean {
  const { namespace, path, invert } = matcher;
  const test = compileValue(matcher.value);
  return (metadata) => test(valueAt(metadata?.get(namespace), path)) !== invert;
}

/** The value under some keys of a struct; undefined when there is none. */
export function valueAt(struct: unknown, path: readonly string[]): unknown {
  let value = struct;
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[key];
  }
  return value;
}

/** Compiles a FilterStateMatcher; without the object it does not match. */
export function compileState({
  key,
  match,
}: FilterStateMatcher): (state: ReadonlyMap<string, unknown> | undefined) => boolean {
  if (match.kind === 'string') {
    const test = compileString(match.matcher);
    return (state) => {
      const text = textOf(state?.get(key));
      return text !== undefined && test(text);
    };
  }
  const test = compileRanges(match.ranges);
  return (state) => {
    const address = addressOf(state?.get(key));
    return address !== undefined && test(address);
  };
}

/** Compiles ranges of addresses into a test of one; what is no IP address is in none. */
export function compileRanges(ranges: readonly AddressRange[]): (address: string) => boolean {
  const list = new BlockList();
  for (const { address, bits } of ranges)
    list.addSubnet(address, bits, isIP(address) === 4 ? 'ipv4' : 'ipv6');
  return (address) => {
    const family = isIP(address);
    return family !== 0 && list.check(address, family === 4 ? 'ipv4' : 'ipv6');
  };
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined;
}

/** An address is a text, or an end of a socket. */
function addressOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  const isEnd = typeof value === 'object' && value !== null && 'address' in value;
  return isEnd && typeof value.address === 'string' ? value.address : undefined;
}
