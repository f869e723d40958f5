import { mkdirSync, writeFileSync } from 'node:fs';

/** A line of a chart: one figure per step of x. */
export interface Curve {
  readonly name: string;
  readonly values: readonly number[];
}

export interface Chart {
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly curves: readonly Curve[];
  /** Spans of x to shade, with what happened in them. */
  readonly spans?: readonly { readonly from: number; readonly to: number; readonly label: string }[];
  /** Value of x per step; default 1. */
  readonly step?: number;
}

const COLOURS = ['#1f77b4', '#d62728', '#2ca02c', '#ff7f0e', '#9467bd', '#8c564b'];
const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [760, 360, 64, 16, 40, 72];

/** Writes a chart to `reports/simulation/<name>.svg`. */
export function writeChart(name: string, chart: Chart): void {
  const folder = new URL('../../../reports/simulation/', import.meta.url);
  mkdirSync(folder, { recursive: true });
  writeFileSync(new URL(`${name}.svg`, folder), drawChart(chart));
}

function drawChart({ title, x, y, curves, spans = [], step = 1 }: Chart): string {
  const steps = Math.max(2, ...curves.map(({ values }) => values.length));
  const top = niceCeiling(Math.max(1e-9, ...curves.flatMap(({ values }) => [...values])));
  const atX = (value: number) => LEFT + (value / (steps - 1)) * (WIDTH - LEFT - RIGHT);
  const atY = (value: number) => HEIGHT - BOTTOM - (value / top) * (HEIGHT - TOP - BOTTOM);
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    `<text x="${WIDTH / 2}" y="20" text-anchor="middle" font-size="15">${plain(title)}</text>`,
    ...spans.map(
      ({ from, to, label }) =>
        `<rect x="${fix(atX(from / step))}" y="${TOP}" width="${fix(atX(to / step) - atX(from / step))}" height="${HEIGHT - TOP - BOTTOM}" fill="#eee"/>` +
        `<text x="${fix(atX((from + to) / 2 / step))}" y="${TOP + 14}" text-anchor="middle" fill="#666">${plain(label)}</text>`,
    ),
    ...grid(steps, step, top, atX, atY),
    ...curves.map(
      ({ values }, at) =>
        `<polyline fill="none" stroke="${COLOURS[at % COLOURS.length]}" stroke-width="1.8" points="${values
          .map((value, step) => `${fix(atX(step))},${fix(atY(value))}`)
          .join(' ')}"/>`,
    ),
    ...curves.map(
      ({ name }, at) =>
        `<rect x="${LEFT + at * 170}" y="${HEIGHT - 20}" width="14" height="4" fill="${COLOURS[at % COLOURS.length]}"/>` +
        `<text x="${LEFT + at * 170 + 20}" y="${HEIGHT - 14}">${plain(name)}</text>`,
    ),
    `<text x="${(WIDTH + LEFT - RIGHT) / 2}" y="${HEIGHT - 38}" text-anchor="middle">${plain(x)}</text>`,
    `<text transform="translate(16 ${(HEIGHT - BOTTOM + TOP) / 2}) rotate(-90)" text-anchor="middle">${plain(y)}</text>`,
    '</svg>\n',
  ];
  return parts.join('\n');
}

function grid(
  steps: number,
  step: number,
  top: number,
  atX: (value: number) => number,
  atY: (value: number) => number,
): string[] {
  const fifths = [0, 1, 2, 3, 4, 5];
  return [
    ...fifths.map((at) => {
      const level = (top * at) / 5;
      return (
        `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${fix(atY(level))}" y2="${fix(atY(level))}" stroke="#ddd"/>` +
        `<text x="${LEFT - 6}" y="${fix(atY(level) + 4)}" text-anchor="end">${shorten(level)}</text>`
      );
    }),
    ...fifths.map((at) => {
      const place = ((steps - 1) * at) / 5;
      return `<text x="${fix(atX(place))}" y="${HEIGHT - BOTTOM + 16}" text-anchor="middle">${shorten(place * step)}</text>`;
    }),
  ];
}

function niceCeiling(value: number): number {
  const magnitude = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 2.5, 5, 10].find((factor) => factor * magnitude >= value) ?? 10) * magnitude;
}

function shorten(value: number): string {
  return String(Number(value.toPrecision(3)));
}

function fix(value: number): string {
  return value.toFixed(1);
}

function plain(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
