import { document, type MeshDocument, metadataOf, type NameOrMetadata, withHandle } from './document.js';
import type { DestinationRuleSpec, DestinationRuleSpecSubsets } from './gen/fields.js';
import { type Destination, hostOf, unknown } from './services.js';

/** A subset of a host's endpoints: those with these labels, treated as its policy says. */
export type SubsetFields = Omit<DestinationRuleSpecSubsets, 'name'>;

/** What `destinationRule` takes: the fields of a DestinationRule, with subsets by their names where that is shorter. */
export interface DestinationRuleInput<Host extends string, Subset extends string>
  extends Omit<DestinationRuleSpec, 'host' | 'subsets'> {
  /** By default the Service of the same name. */
  readonly host?: Host | undefined;
  /** By name, or as a list as in YAML. */
  readonly subsets?:
    | { readonly [Name in Subset]: SubsetFields }
    | readonly (DestinationRuleSpecSubsets & { readonly name: Subset })[]
    | undefined;
}

/** A DestinationRule whose subsets the compiler knows. */
export interface DestinationRuleHandle<Host extends string, Subset extends string> {
  readonly host: Host;
  /** The names of the subsets, in their order. */
  readonly subsetNames: readonly Subset[];
  /** The destination of a route to one of the subsets; the port is needed where the host has several. */
  subset<Name extends Subset>(name: Name, port?: number): Destination<Host, Name>;
  /** The destination of a route to the host, whatever the subset. */
  to(port?: number): Destination<Host>;
}

/**
 * A DestinationRule: how a host's endpoints are called, and its subsets. What it returns knows them:
 * `rule.subset('v9')` does not compile where there is no `v9`.
 */
export function destinationRule<const Host extends string = string, const Subset extends string = never>(
  name: NameOrMetadata,
  input: DestinationRuleInput<Host, Subset>,
): MeshDocument<'DestinationRule'> & DestinationRuleHandle<Host, Subset> {
  const { name: own, namespace } = metadataOf(name);
  const { host: given, subsets: wanted, trafficPolicy, ...rest } = input;
  // Without a host that is given, Host is string.
  const host = given ?? (hostOf(own, namespace) as Host);
  const subsets = listOf<Subset>(wanted);
  const made = document('DestinationRule', name, { host, trafficPolicy, subsets, ...rest });
  const port = (number: number | undefined) =>
    number === undefined ? {} : { port: Object.freeze({ number }) };
  const subsetNames = Object.freeze((subsets ?? []).map((one) => one.name));
  return withHandle(made, {
    host,
    subsetNames,
    subset: <Name extends Subset>(subset: Name, number?: number): Destination<Host, Name> => {
      if (!subsetNames.includes(subset)) throw unknown('subset', subset, `DestinationRule ${own}`);
      return Object.freeze({ host, subset, ...port(number) });
    },
    to: (number?: number): Destination<Host> => Object.freeze({ host, ...port(number) }),
  });
}

function listOf<Subset extends string>(
  subsets: DestinationRuleInput<string, Subset>['subsets'],
): readonly (SubsetFields & { readonly name: Subset })[] | undefined {
  if (subsets === undefined || isList(subsets)) return subsets;
  // Its names are those of the type.
  const entries = Object.entries(subsets) as [Subset, SubsetFields][];
  return entries.map(([name, fields]) => ({ name, ...fields }));
}

/** Array.isArray does not tell lists that are read-only. */
function isList<T>(value: object | readonly T[]): value is readonly T[] {
  return Array.isArray(value);
}
