import { create } from '@bufbuild/protobuf';
import type { FractionalPercent } from '../model/percent.js';
import { core, type } from '../proto/xds.js';
import { onlyFields } from './field-guard.js';
import { at, type Path, refuse, required } from './path.js';

const runtimeFields = onlyFields(() => core.RuntimeFractionalPercentSchema, {
  enforced: ['default_value', 'runtime_key'],
});

/** Envoy's default of an absent FractionalPercent: nothing is sampled. */
const NEVER: FractionalPercent = { numerator: 0, denominator: 100 };

/** The fraction; 0 % when it is absent. */
export function decodeFraction(percent: type.FractionalPercent | undefined, path: Path): FractionalPercent {
  if (percent === undefined) return NEVER;
  return { numerator: percent.numerator, denominator: decodeDenominator(percent.denominator, path) };
}

function decodeDenominator(
  denominator: type.FractionalPercent_DenominatorType,
  path: Path,
): 100 | 10_000 | 1_000_000 {
  switch (denominator) {
    case type.FractionalPercent_DenominatorType.HUNDRED:
      return 100;
    case type.FractionalPercent_DenominatorType.TEN_THOUSAND:
      return 10_000;
    case type.FractionalPercent_DenominatorType.MILLION:
      return 1_000_000;
    default:
      return refuse(at(path, 'denominator'), `has no value ${String(denominator)}`);
  }
}

/** The fraction as a message. */
export function encodeFraction({ numerator, denominator }: FractionalPercent): type.FractionalPercent {
  const { HUNDRED, TEN_THOUSAND, MILLION } = type.FractionalPercent_DenominatorType;
  const unit = denominator === 100 ? HUNDRED : denominator === 10_000 ? TEN_THOUSAND : MILLION;
  return create(type.FractionalPercentSchema, { numerator, denominator: unit });
}

/** The fraction that holds where the runtime says nothing else. */
export function decodeRuntimeFraction(
  fraction: core.RuntimeFractionalPercent,
  path: Path,
): FractionalPercent {
  runtimeFields(fraction, path);
  const value = required(fraction.defaultValue, at(path, 'default_value'));
  const percent = decodeFraction(value, at(path, 'default_value'));
  return fraction.runtimeKey === '' ? percent : { ...percent, runtimeKey: fraction.runtimeKey };
}

/** The fraction as a message. */
export function encodeRuntimeFraction(percent: FractionalPercent): core.RuntimeFractionalPercent {
  return create(core.RuntimeFractionalPercentSchema, {
    defaultValue: encodeFraction(percent),
    runtimeKey: percent.runtimeKey ?? '',
  });
}

/** A `Percent` between 0 and 100, or the default when it is absent. */
export function decodePercent(percent: type.Percent | undefined, defaultPercent: number, path: Path): number {
  if (percent === undefined) return defaultPercent;
  // Written so that NaN is refused too.
  return percent.value >= 0 && percent.value <= 100
    ? percent.value
    : refuse(path, 'must be between 0 and 100');
}

/** A whole percentage up to 100, or the default when it is absent. */
export function decodeWholePercent(percent: number | undefined, defaultPercent: number, path: Path): number {
  const value = percent ?? defaultPercent;
  return value <= 100 ? value : refuse(path, 'must be at most 100');
}

/** A `Percent` as a message. */
export function encodePercent(value: number): type.Percent {
  return create(type.PercentSchema, { value });
}
