import type { BuildOptions } from 'esbuild';

export function entryPoints(): string[];
export function bundleOptions(): BuildOptions & { metafile: true };
