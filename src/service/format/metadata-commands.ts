import { dig } from '../dig.js';
import { invalidFormat } from './format-error.js';
import type { CommandType, FormatGetter, FormatInput } from './input.js';

/** `NAMESPACE:KEY:KEY`: a value of a metadata source. */
function metadataCommand(read: (input: FormatInput, namespace: string) => unknown): CommandType {
  return {
    argument: 'required',
    length: true,
    make: (argument): FormatGetter => {
      const [namespace = '', ...keys] = argument.split(':');
      return (input) => dig(read(input, namespace), keys);
    },
  };
}

const dynamic = metadataCommand(({ exchange }, namespace) => exchange.dynamicMetadata?.get(namespace));
const cluster = metadataCommand(({ exchange }, namespace) => exchange.upstream?.clusterMetadata?.[namespace]);
const host = metadataCommand(({ exchange }, namespace) => exchange.upstream?.metadata?.[namespace]);
const route = metadataCommand(({ exchange }, namespace) => exchange.routeMetadata?.[namespace]);

/** Envoy's metadata formatter extension: the kind of source comes first. */
const METADATA: CommandType = {
  argument: 'required',
  length: true,
  make: (argument, tools, format) => {
    const [kind = '', ...rest] = argument.split(':');
    const source = { DYNAMIC: dynamic, CLUSTER: cluster, ROUTE: route, UPSTREAM_HOST: host }[kind];
    if (source === undefined) return invalidFormat(format, `reads metadata of ${JSON.stringify(kind)}`);
    return source.make(rest.join(':'), tools, format);
  },
};

const FORMS = ['PLAIN', 'TYPED'];

/** `KEY`, `KEY:PLAIN`, `KEY:TYPED` (the default) or `KEY:FIELD:name`. */
const FILTER_STATE: CommandType = {
  argument: 'required',
  length: true,
  make: (argument, _tools, format) => {
    const [key = '', form = 'TYPED', field, ...rest] = argument.split(':');
    if (key === '' || rest.length > 0) return invalidFormat(format, 'has a FILTER_STATE without key');
    if (form === 'FIELD') {
      if (field === undefined || field === '') {
        return invalidFormat(format, 'has a FILTER_STATE without a field name');
      }
      return ({ exchange }) => dig(exchange.filterState?.get(key), [field]);
    }
    if (!FORMS.includes(form) || field !== undefined) {
      return invalidFormat(format, 'has a FILTER_STATE other than PLAIN, TYPED and FIELD');
    }
    if (form === 'PLAIN') return ({ exchange }) => plainText(exchange.filterState?.get(key));
    return ({ exchange }) => {
      const value = exchange.filterState?.get(key);
      // Envoy writes the JSON of the typed object, so a text gets its quotes.
      return typeof value === 'string' ? JSON.stringify(value) : value;
    };
  },
};

function plainText(value: unknown): unknown {
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : value;
}

/** Commands about metadata and state that filters, clusters and endpoints carry. */
export const METADATA_COMMANDS: Readonly<Record<string, CommandType>> = {
  DYNAMIC_METADATA: dynamic,
  CLUSTER_METADATA: cluster,
  UPSTREAM_METADATA: host,
  METADATA,
  FILTER_STATE,
  UPSTREAM_FILTER_STATE: FILTER_STATE,
  PER_REQUEST_STATE: {
    argument: 'required',
    length: true,
    make: (key) => (input) => plainText(input.exchange.filterState?.get(key)),
  },
};
