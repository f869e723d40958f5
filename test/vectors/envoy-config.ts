import { existsSync, readFileSync } from 'node:fs';

const folder = new URL('../../../shared/vectors/envoy/', import.meta.url);

/** Whether the vectors are there; without them the tests that read them have nothing to do. */
export const hasVectors = existsSync(folder);

export function readText(name: string): string {
  return readFileSync(new URL(name, folder), 'utf8');
}

/** One list of a vector file; empty when the folder is not there. */
export function readCases<T>(name: string, list = 'cases'): T[] {
  if (!hasVectors) return [];
  return (JSON.parse(readText(name)) as Record<string, T[]>)[list] ?? [];
}

/** The draw that stands for a random value of Envoy's tests. */
export function drawOf(value: number): number {
  return ((value % 2 ** 32) + 0.5) / 2 ** 32;
}
