import { readFileSync } from 'node:fs';

/** Version of this package, read from its package.json, one folder above `src` and `dist` alike. */
export const version: string = readVersion();

function readVersion(): string {
  for (const path of ['../package.json', '../../package.json']) {
    try {
      const parsed: unknown = JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'));
      if (typeof parsed !== 'object' || parsed === null) continue;
      const { name, version } = parsed as { name?: unknown; version?: unknown };
      if (name === 'inmesh' && typeof version === 'string') return version;
    } catch {
      // Not there: bundled files lie one folder deep, sources two.
    }
  }
  return '0.0.0';
}
