import { type Command, InvalidArgumentError, Option } from 'commander';
import { splitHostPort } from '../model/address.js';

/** What the options of a control plane's authority say, as commander gives them. */
export interface AuthorityOptions {
  readonly caDir?: string;
  readonly caCert?: string;
  readonly caKey?: string;
  readonly caChain?: string;
  readonly caRoot?: string;
  readonly caPkcs12?: string;
  readonly caKeyPassphrase?: string;
  readonly caKeyPassphraseFile?: string;
  readonly caPassphrase?: string;
  readonly caPassphraseFile?: string;
  readonly bundleEndpoint?: { readonly host: string; readonly port: number };
  readonly federation?: string;
}

/** Adds the options by which `inmesh dev` and `inmesh serve` get an authority that is not made here, and partners. */
export function withAuthorityOptions(command: Command): Command {
  return command
    .option(
      '--ca-dir <dir>',
      "authority of yours in Istio's layout: ca-cert.pem, ca-key.pem, root-cert.pem …",
    )
    .option('--ca-cert <file>', 'authority of yours: PEM of its certificate')
    .option('--ca-key <file>', 'PEM of its key, mode 0600')
    .option('--ca-chain <file>', 'PEM of what is between it and its root')
    .option('--ca-root <file>', 'PEM of its root')
    .option('--ca-pkcs12 <file>', 'authority of yours in PKCS #12, mode 0600')
    .addOption(
      new Option('--ca-key-passphrase <text>', 'opens the key of your authority').env(
        'INMESH_CA_KEY_PASSPHRASE',
      ),
    )
    .option('--ca-key-passphrase-file <file>', 'file of mode 0600 with what opens that key')
    .addOption(
      new Option('--ca-passphrase <text>', 'encrypts the keys that are kept in --data').env(
        'INMESH_CA_PASSPHRASE',
      ),
    )
    .option('--ca-passphrase-file <file>', 'file of mode 0600 with what encrypts them')
    .option(
      '--bundle-endpoint <host:port>',
      'publish the roots to other trust domains (SPIFFE federation)',
      toAddress,
    )
    .option('--federation <file>', 'JSON: [{ trustDomain, url, endpointId, bundleFile, rootsFile }]');
}

function toAddress(text: string): { readonly host: string; readonly port: number } {
  const { host, port } = splitHostPort(text);
  if (host !== '' && port !== undefined) return { host, port };
  throw new InvalidArgumentError('Write host:port, such as 0.0.0.0:8443.');
}
