import type { LoadReport } from '../../model/load-report.js';
import { FIGURE_MAPS, FIGURES } from './figures.js';

/** Hears of one figure of a report. */
export type TakeMetric = (name: string, value: number) => void;

type ReadFigures = (report: LoadReport, take: TakeMetric) => void;

/**
 * Reads the figures that are named: a field, or a map with a key (`named_metrics.queue`, `utilization.*`). gRFC A85: names
 * that mean nothing are passed over; undefined = none means anything.
 */
export function readMetrics(names: readonly string[]): ReadFigures | undefined {
  const readers = names.flatMap((name) => readerOf(name) ?? []);
  if (readers.length === 0) return undefined;
  return (report, take) => {
    for (const read of readers) read(report, take);
  };
}

function readerOf(name: string): ReadFigures | undefined {
  const dot = name.indexOf('.');
  if (dot < 0) {
    const field = Object.hasOwn(FIGURES, name) ? FIGURES[name] : undefined;
    return (
      field &&
      ((report, take) => {
        const value = field(report);
        // A report does not tell a 0 from what it does not say.
        if (value !== 0) take(name, value);
      })
    );
  }
  const [prefix, key] = [name.slice(0, dot), name.slice(dot + 1)];
  const map = Object.hasOwn(FIGURE_MAPS, prefix) ? FIGURE_MAPS[prefix] : undefined;
  if (map === undefined) return undefined;
  if (key === '*') {
    return (report, take) => {
      for (const [one, value] of map(report)) take(`${prefix}.${one}`, value);
    };
  }
  return (report, take) => {
    const value = map(report).get(key);
    if (value !== undefined) take(name, value);
  };
}
