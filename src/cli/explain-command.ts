import { METHODS } from 'node:http';
import { type Command, InvalidArgumentError } from 'commander';
import { collect } from './collect.js';
import type { Done } from './done.js';
import { withFileOption } from './file-option.js';
import { formatOption } from './format-option.js';
import type { Output } from './output.js';
import { withPlaneOptions } from './plane-options.js';

/** Adds `explain`. */
export function addExplain(program: Command, output: Output, done: Done): void {
  withFileOption(
    withPlaneOptions(program.command('explain')),
    'documents to answer from, in place of a control plane',
  )
    .description(
      'Tell what the mesh would do with a request: its route, cluster, changes, limits, policies and endpoints. Exit code 1: it would be refused.',
    )
    .argument('<method>', 'method of the request; may be left out')
    .argument(
      '[url]',
      'its URL: http://reviews/ratings/42, grpc://cart/shop.Cart/Add, tcp://db:5432, tls://db.example.com:443',
    )
    .option('--from <namespace/name>', 'who sends it: a service, Deployment or service account', 'default/')
    .option(
      '-l, --labels <key=value>',
      'labels of the sender, with commas between (default: those of its name)',
      collect,
    )
    .option('-H, --header <name:value>', 'header of the request; may be repeated', collect)
    .option('--gateway <namespace/name>', 'the Gateway by which it comes in')
    .option('--draw <number>', 'the draw in [0, 1) among weighted clusters (default: the heaviest)', toDraw)
    .option('--mesh-config <file>', "Istio's MeshConfig, with -f")
    .addOption(formatOption('table', 'wide', 'json', 'yaml'))
    .addHelpText('after', EXAMPLES)
    .action(async (first: string, second: string | undefined, options, explaining: Command) => {
      const { explain } = await import('./explain.js');
      if (second === undefined && METHODS.includes(first))
        explaining.error(`error: missing the URL: inmesh explain ${first} http://reviews/`);
      const [method, url] = second === undefined ? ['GET', first] : [first, second];
      done(await explain({ method, url, ...options, format: options.output }, output));
    });
}

function toDraw(text: string): number {
  const draw = text === '' ? Number.NaN : Number(text);
  if (draw >= 0 && draw < 1) return draw;
  throw new InvalidArgumentError('A draw is a number from 0 to below 1.');
}

const EXAMPLES = `
Examples:
  $ inmesh explain GET http://reviews/ratings/42 -f mesh.yaml          by documents
  $ inmesh explain GET http://reviews:9080/ --from shop/web -H x-beta:yes    by the control plane of inmesh dev
  $ inmesh explain grpc://cart:9000/shop.Cart/Add -f mesh.yaml          a call of gRPC
  $ inmesh explain tls://db.example.com:5432 -f mesh.yaml               a connection, by its port and the name in TLS
  $ inmesh explain GET http://shop.example.com/ --gateway shop/edge -f mesh.d -o json`;
