/** Compiles every .proto into one file of descriptors, with all options; returns its path. */
export function buildImage(workDir: string): string;
