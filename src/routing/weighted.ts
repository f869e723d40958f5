import type { ClusterSpecifier } from '../model/route.js';
import { remainderOf } from '../runtime/random.js';
import type { Request } from '../service/service.js';
import type { RequestHash } from './hash-policy.js';

type WeightedClusters = Extract<ClusterSpecifier, { kind: 'weighted' }>;

/**
 * The index of the chosen cluster for a draw in [0, 1); -1 when the weights are all zero.
 * Envoy: `value % total`, then the first cluster whose running sum is above it.
 */
export function selectWeighted(specifier: WeightedClusters, draw: number): number {
  const { totalWeight } = specifier;
  return totalWeight <= 0 ? -1 : indexAt(specifier, remainderOf(draw, totalWeight));
}

function indexAt({ clusters }: WeightedClusters, value: number): number {
  let sum = 0;
  for (let i = 0; i < clusters.length; i++) {
    sum += clusters[i]?.weight ?? 0;
    if (value < sum) return i;
  }
  return -1;
}

/** Compiles the choice among weighted clusters: the index of the chosen one. */
export function compileWeighted(
  specifier: WeightedClusters,
  hash: RequestHash | undefined,
): (request: Request) => number {
  const { choice } = specifier;
  const byDraw = ({ context }: Request) => selectWeighted(specifier, context.random);
  const read = choice === undefined ? undefined : compileValue(choice, hash);
  if (read === undefined) return byDraw;
  const total = BigInt(specifier.totalWeight);
  return (request) => {
    const value = read(request);
    return value === undefined ? byDraw(request) : indexAt(specifier, Number(value % total));
  };
}

function compileValue(
  choice: NonNullable<WeightedClusters['choice']>,
  hash: RequestHash | undefined,
): RequestHash | undefined {
  if (choice.kind === 'hash') return hash;
  const { name } = choice;
  return ({ headers }) => {
    const [value, another] = headers.getAll(name);
    return value === undefined || another !== undefined ? undefined : unsigned(value);
  };
}

const MAX_UNSIGNED = 0xffff_ffff_ffff_ffffn;

/** Envoy `absl::SimpleAtoi` of 64 bits: white space around it and a plus are allowed. */
function unsigned(text: string): bigint | undefined {
  const digits = /^[ \t\n\v\f\r]*\+?(\d+)[ \t\n\v\f\r]*$/.exec(text)?.[1];
  const value = digits === undefined ? undefined : BigInt(digits);
  return value === undefined || value > MAX_UNSIGNED ? undefined : value;
}
