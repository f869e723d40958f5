/** Compiles every .proto, and what else is asked for, into one file of descriptors with all options; returns its path. */
export function buildImage(workDir: string, more?: readonly string[]): string;
