import { type Command, InvalidArgumentError, Option } from 'commander';
import { parseDuration } from '../model/duration.js';
import type { CaTarget } from './ca.js';
import { formatOption } from './format-option.js';
import type { Output } from './output.js';

type Done = (code: number) => void;
type Ca = typeof import('./ca.js');

/** Adds `inmesh ca` with its commands. */
export function addCa(program: Command, output: Output, done: Done): void {
  const ca = program
    .command('ca')
    .description(
      'Look after the certificate authority in the data folder of a control plane, which may run: it follows.',
    )
    .addHelpText(
      'after',
      examples([
        'ca status --data /var/lib/inmesh',
        'ca rotate --data /var/lib/inmesh',
        'ca revoke --data /var/lib/inmesh spiffe://cluster.local/ns/shop/sa/cart',
      ]),
    );
  addRoots(ca, output, done);
  addSteps(ca, output, done);
  addRevocation(ca, output, done);
  addIssue(ca, output, done);
}

function addRoots(ca: Command, output: Output, done: Done): void {
  targeted(ca, 'status', 'Show roots and intermediates: phase, expiry, how much of their life is over.')
    .option('--server <url>', 'ask a running control plane instead, which knows how far its clients are')
    .option('--token-file <file>', 'bearer token for its status API, e.g. admin.token of its data folder')
    .option('--ca-root <file>', 'PEM of the roots of the mesh: it is asked over TLS')
    .addHelpText(
      'after',
      examples([
        'ca status',
        'ca status -d /var/lib/inmesh -o yaml',
        'ca status --server http://127.0.0.1:15014 -o json',
        'ca status --server mesh.example.com:15014 --ca-root root.pem --token-file token',
      ]),
    )
    .action(
      run(done, (one, target, { server: address, tokenFile, caRoot }) => {
        const server = address === undefined ? undefined : { address, tokenFile, caRoot };
        return one.caStatus({ ...target, server }, output);
      }),
    );
  targeted(ca, 'root', 'Print the root that signs now, as PEM.')
    .addHelpText(
      'after',
      examples(['ca root', 'ca root -d /var/lib/inmesh > root.pem', 'ca root | openssl x509 -noout -text']),
    )
    .action(run(done, (one, target) => one.caRoot(target, output)));
  targeted(
    ca,
    'rotate',
    'Replace the root: a new one is made and sent to clients, and signs when 99 % of them trust it.',
  )
    .option('--hold', 'wait for `inmesh ca activate` before it signs', false)
    .option('--force', 'let it sign at once, also for clients that do not trust it yet', false)
    .option('--abandon', 'give up a rotation whose root does not sign yet', false)
    .addHelpText('after', examples(['ca rotate', 'ca rotate --hold', 'ca rotate --abandon']))
    .action(
      run(done, (one, target, { force, hold, abandon }) =>
        one.caRotate(
          { ...target, force: force === true, hold: hold === true, abandon: abandon === true },
          output,
        ),
      ),
    );
}

function addSteps(ca: Command, output: Output, done: Done): void {
  targeted(ca, 'activate', 'Let a root that waits sign as soon as clients trust it.')
    .option('--force', 'at once, whatever clients trust', false)
    .addHelpText('after', examples(['ca activate', 'ca activate --force', 'ca activate -d /var/lib/inmesh']))
    .action(
      run(done, (one, target, { force }) => one.caActivate({ ...target, force: force === true }, output)),
    );
  targeted(
    ca,
    'retire',
    'Distrust the root before; the control plane does so by itself when clients have renewed.',
  )
    .option('--force', 'at once, whoever still has a certificate of it', false)
    .addHelpText(
      'after',
      examples([
        'ca retire --force',
        'ca retire -d /var/lib/inmesh --force',
        'ca status && inmesh ca retire --force',
      ]),
    )
    .action(
      run(done, (one, target, { force }) => one.caRetire({ ...target, force: force === true }, output)),
    );
  targeted(ca, 'import', 'Make a root of your own the next one of the authority.')
    .requiredOption('--certificate <file>', 'PEM of the root')
    .requiredOption('--key <file>', 'PEM of its key')
    .addOption(new Option('--key-passphrase <text>', 'opens that key').env('INMESH_CA_KEY_PASSPHRASE'))
    .option('--hold', 'wait for `inmesh ca activate` before it signs', false)
    .addHelpText(
      'after',
      examples([
        'ca import --certificate root.pem --key root.key',
        'ca import --certificate root.pem --key root.key --hold',
        'ca import -d /var/lib/inmesh --certificate root.pem --key root.key',
      ]),
    )
    .action(
      run(done, (one, target, { certificate = '', key = '', keyPassphrase, hold }) =>
        one.caImport({ ...target, certificate, key, keyPassphrase, hold: hold === true }, output),
      ),
    );
}

function addRevocation(ca: Command, output: Output, done: Done): void {
  targeted(
    ca,
    'revoke',
    'Take certificates back; members refuse them within seconds. Without a name: show what was.',
  )
    .argument(
      '[names...]',
      'SPIFFE ID, serial number, sha256:<of a public key>, or a file with a certificate',
    )
    .option('--reason <text>', 'why, for the list')
    .option('--for <duration>', 'how long, e.g. 24h (default: for ever)', toDuration)
    .option('--undo', 'trust them again', false)
    .addHelpText(
      'after',
      examples([
        'ca revoke spiffe://cluster.local/ns/shop/sa/cart --reason stolen',
        'ca revoke 4f3a09c1 stolen.pem --for 24h',
        'ca revoke --undo spiffe://cluster.local/ns/shop/sa/cart',
      ]),
    )
    .action((names: string[], _: unknown, command: Command) =>
      run(done, (one, target, { reason, for: forMs, undo }) =>
        one.caRevoke({ ...target, names, reason, forMs, undo: undo === true }, output),
      )(undefined, command),
    );
  targeted(ca, 'crl', 'Print the certificate revocation list, as PEM.')
    .option('--der', 'as DER in base64', false)
    .addHelpText(
      'after',
      examples([
        'ca crl > mesh.crl',
        'ca crl | openssl crl -noout -text',
        'ca crl --der | base64 -d > mesh.crl.der',
      ]),
    )
    .action(run(done, (one, target, { der }) => one.caCrl({ ...target, der: der === true }, output)));
}

function addIssue(ca: Command, output: Output, done: Done): void {
  targeted(ca, 'issue', 'Issue a certificate for a signing request, which gives its key and nothing else.')
    .requiredOption('--id <spiffe id>', 'the only name in the certificate')
    .requiredOption('--csr <file>', 'PEM; - reads it from the standard input')
    .option('--life <duration>', 'e.g. 24h (default: 24h)', toDuration)
    .addHelpText(
      'after',
      examples([
        'ca issue --id spiffe://cluster.local/ns/shop/sa/cart --csr cart.csr',
        'ca issue --id spiffe://cluster.local/batch --csr - --life 1h < batch.csr',
        'ca issue --id spiffe://cluster.local/ns/shop/sa/cart --csr cart.csr -o json',
      ]),
    )
    .action(
      run(done, (one, target, { id = '', csr = '', life }) =>
        one.caIssue({ ...target, id, csr, lifeMs: life }, output),
      ),
    );
  targeted(ca, 'bundle', 'Print all roots that members trust, as PEM.')
    .option('--spiffe', 'as a SPIFFE bundle document, for other trust domains', false)
    .addHelpText(
      'after',
      examples([
        'ca bundle > roots.pem',
        'ca bundle --spiffe > bundle.json',
        'ca bundle -d /var/lib/inmesh | openssl x509 -noout -subject',
      ]),
    )
    .action(
      run(done, (one, target, { spiffe }) => one.caBundle({ ...target, spiffe: spiffe === true }, output)),
    );
}

function targeted(ca: Command, name: string, description: string): Command {
  return ca
    .command(name)
    .description(description)
    .option('-d, --data <dir>', 'data folder of the control plane', '.inmesh')
    .addOption(new Option('--passphrase <text>', 'opens the keys there').env('INMESH_CA_PASSPHRASE'))
    .option('--passphrase-file <file>', 'file of mode 0600 with what opens the keys')
    .addOption(formatOption('table', 'json', 'yaml'));
}

/** What commander parsed; it gives text, flags, and what parsers made of text. */
interface Options {
  readonly data: string;
  readonly passphrase?: string;
  readonly passphraseFile?: string;
  readonly output: CaTarget['format'];
  readonly server?: string;
  readonly tokenFile?: string;
  readonly caRoot?: string;
  readonly force?: boolean;
  readonly hold?: boolean;
  readonly abandon?: boolean;
  readonly certificate?: string;
  readonly key?: string;
  readonly keyPassphrase?: string;
  readonly reason?: string;
  readonly for?: number;
  readonly undo?: boolean;
  readonly der?: boolean;
  readonly id?: string;
  readonly csr?: string;
  readonly life?: number;
  readonly spiffe?: boolean;
}

function run(done: Done, act: (ca: Ca, target: CaTarget, options: Options) => Promise<number>) {
  return async (_: unknown, command: Command): Promise<void> => {
    const options = command.opts<Options>();
    const { data, passphrase, passphraseFile, output: format } = options;
    done(await act(await import('./ca.js'), { data, passphrase, passphraseFile, format }, options));
  };
}

function toDuration(text: string): number {
  const ms = parseDuration(text);
  if (ms !== undefined && ms >= 1000) return ms;
  throw new InvalidArgumentError('Write a duration such as 24h, 90s or 10m, at least 1s.');
}

function examples(lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  $ inmesh ${line}`).join('\n')}`;
}
