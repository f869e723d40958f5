import type { Command } from 'commander';

/** How a command reaches a running control plane, as commander gives it. */
export interface PlaneOptions {
  readonly controlPlane: string;
  readonly tokenFile?: string | undefined;
  readonly caRoot?: string | undefined;
}

/** Adds those options. */
export function withPlaneOptions(command: Command): Command {
  return command
    .option('--control-plane <host:port>', 'status API of the control plane', '127.0.0.1:15014')
    .option('--token-file <file>', 'bearer token for it, e.g. admin.token of its data folder')
    .option('--ca-root <file>', 'PEM of the roots of the mesh: it is asked over TLS');
}
