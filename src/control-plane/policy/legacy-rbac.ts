import { stringify } from 'yaml';
import { z } from 'zod';
import { stringMap } from '../kinds/fields.js';
import { ConfigFile, type ConfigText } from '../schema/config-file.js';
import { DEFAULT_LIMITS } from '../schema/limits.js';
import { checkStructure } from '../schema/structure.js';
import { isPlainObject, type PlainValue } from '../schema/value.js';

/** What became of Istio's policies of v1alpha1. */
export interface MigratedRbac {
  /** AuthorizationPolicies as YAML documents. */
  readonly yaml: string;
  readonly policies: readonly MigratedPolicy[];
  /** What has no equal, one sentence each. */
  readonly losses: readonly string[];
}

/** An AuthorizationPolicy that stands for old documents. */
export interface MigratedPolicy {
  readonly apiVersion: 'security.istio.io/v1';
  readonly kind: 'AuthorizationPolicy';
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: Readonly<Record<string, unknown>>;
}

const texts = z.array(z.string()).optional();
const lists = (...names: readonly string[]) => Object.fromEntries(names.map((name) => [name, texts]));

const roleSchema = z.strictObject({
  rules: z.array(
    z.strictObject({
      services: texts,
      hosts: texts,
      notHosts: texts,
      paths: texts,
      notPaths: texts,
      methods: texts,
      notMethods: texts,
      ports: z.array(z.union([z.string(), z.number()])).optional(),
      notPorts: z.array(z.union([z.string(), z.number()])).optional(),
      constraints: z.array(z.strictObject({ key: z.string(), values: texts })).optional(),
    }),
  ),
});

const subjectSchema = z.strictObject({
  user: z.string().optional(),
  group: z.string().optional(),
  ...lists('names', 'notNames', 'groups', 'notGroups', 'namespaces', 'notNamespaces', 'ips', 'notIps'),
  properties: stringMap.optional(),
});

const bindingSchema = z.object({
  subjects: z.array(subjectSchema),
  roleRef: z.object({ kind: z.string().optional(), name: z.string() }).optional(),
  role: z.string().optional(),
  mode: z.enum(['ENFORCED', 'PERMISSIVE']).optional(),
});

const target = z.strictObject({ services: texts, namespaces: texts }).optional();
const configSchema = z.object({
  mode: z.enum(['OFF', 'ON', 'ON_WITH_INCLUSION', 'ON_WITH_EXCLUSION']).optional(),
  inclusion: target,
  exclusion: target,
  enforcementMode: z.enum(['ENFORCED', 'PERMISSIVE']).optional(),
});

interface Old<T> {
  readonly name: string;
  readonly namespace: string;
  readonly spec: T;
}

type Role = Old<z.output<typeof roleSchema>>;
type Rule = Role['spec']['rules'][number];
type Binding = Old<z.output<typeof bindingSchema>>;
type Subject = Binding['spec']['subjects'][number];
type Config = Old<z.output<typeof configSchema>>;
type Labels = Readonly<Record<string, string>>;

/** Translates ServiceRoles, ServiceRoleBindings, RbacConfigs and ClusterRbacConfigs; Services tell whom they are about. */
export function migrateRbac(files: readonly ConfigText[], rootNamespace = 'istio-system'): MigratedRbac {
  const migration = new Migration(rootNamespace);
  for (const file of files) migration.read(file);
  return migration.finish();
}

class Migration {
  readonly #rootNamespace: string;
  readonly #losses: string[] = [];
  readonly #roles: Role[] = [];
  readonly #bindings: Binding[] = [];
  readonly #configs: Config[] = [];
  /** Selectors of Services by `namespace/name`. */
  readonly #selectors = new Map<string, Labels>();

  constructor(rootNamespace: string) {
    this.#rootNamespace = rootNamespace;
  }

  read({ file, content }: ConfigText): void {
    const text = typeof content === 'string' ? content : Buffer.from(content).toString('utf8');
    const { documents, violations } = new ConfigFile(file, text, DEFAULT_LIMITS).read();
    for (const { message } of violations) this.#losses.push(`${file}: ${message}`);
    for (const { value } of documents) this.#take(value);
  }

  finish(): MigratedRbac {
    const policies = [
      ...this.#configs.flatMap((one) => this.#defaults(one)),
      ...this.#bindings.flatMap((one) => this.#binding(one)),
    ];
    for (const role of this.#roles) {
      const isBound = this.#bindings.some(
        (one) => one.namespace === role.namespace && roleOf(one) === role.name,
      );
      if (!isBound) this.#losses.push(`ServiceRole ${role.namespace}/${role.name} is bound to nobody`);
    }
    const yaml = policies.map((one) => stringify(one)).join('---\n');
    return { yaml, policies, losses: [...new Set(this.#losses)] };
  }

  #take(value: PlainValue): void {
    if (!isPlainObject(value)) return;
    const metadata = isPlainObject(value['metadata']) ? value['metadata'] : {};
    const name = textOf(metadata['name']);
    const namespace = textOf(metadata['namespace']) || 'default';
    const spec = value['spec'] ?? {};
    const read = <S extends z.ZodType>(schema: S, into: Old<z.output<S>>[]) => {
      const checked = checkStructure(schema, spec, ['spec']);
      for (const { message } of checked.violations) {
        this.#losses.push(`${textOf(value['kind'])} ${namespace}/${name}: ${message}`);
      }
      if (checked.value !== undefined) into.push({ name, namespace, spec: checked.value });
    };
    if (value['kind'] === 'ServiceRole') read(roleSchema, this.#roles);
    else if (value['kind'] === 'ServiceRoleBinding') read(bindingSchema, this.#bindings);
    else if (value['kind'] === 'RbacConfig' || value['kind'] === 'ClusterRbacConfig')
      read(configSchema, this.#configs);
    else if (value['kind'] === 'Service' && isPlainObject(spec) && isPlainObject(spec['selector'])) {
      const labels = Object.entries(spec['selector']).map(([key, label]) => [key, textOf(label)] as const);
      this.#selectors.set(`${namespace}/${name}`, Object.fromEntries(labels));
    }
  }

  /** Without a role nothing is allowed where policies are on. */
  #defaults({ spec, name }: Config): readonly MigratedPolicy[] {
    const { mode = 'OFF', inclusion = {}, exclusion = {}, enforcementMode } = spec;
    if (mode === 'OFF') {
      this.#losses.push(
        `${name}: the mode OFF has no equal; leave the policies out to have nothing enforced`,
      );
      return [];
    }
    const isDry = enforcementMode === 'PERMISSIVE';
    const root = this.#rootNamespace;
    if (mode === 'ON_WITH_INCLUSION') return this.#places(inclusion, 'deny-by-default', {}, isDry);
    const all = policy('deny-by-default', root, {}, isDry);
    if (mode === 'ON') return [all];
    return [all, ...this.#places(exclusion, 'allow-all', { rules: [{}] }, isDry)];
  }

  #places(
    { namespaces = [], services = [] }: NonNullable<Config['spec']['inclusion']>,
    name: string,
    spec: object,
    isDry: boolean,
  ): readonly MigratedPolicy[] {
    return [
      ...namespaces.map((namespace) => policy(name, namespace, spec, isDry)),
      ...services.flatMap((service) => {
        const [short = '', namespace = 'default'] = service.split('.');
        const selector = this.#selectorOf(short, namespace);
        return [policy(`${name}-${short}`, namespace, { selector, ...spec }, isDry)];
      }),
    ];
  }

  #binding(binding: Binding): readonly MigratedPolicy[] {
    const { name, namespace, spec } = binding;
    const wanted = roleOf(binding);
    const role = this.#roles.find((one) => one.namespace === namespace && one.name === wanted);
    if (role === undefined) {
      this.#losses.push(
        `ServiceRoleBinding ${namespace}/${name} names the ServiceRole ${wanted}, which is not there`,
      );
      return [];
    }
    const subjects = spec.subjects.flatMap((one) => this.#subject(one, `${namespace}/${name}`) ?? []);
    if (subjects.length === 0) return [];
    const rules = role.spec.rules.flatMap((rule) =>
      this.#rule(rule, role).map(({ selector, operation, when }) => ({
        selector,
        rules: subjects.map((subject) => {
          const conditions = [...when, ...subject.when];
          return {
            ...(subject.source !== undefined && { from: [{ source: subject.source }] }),
            ...(operation !== undefined && { to: [{ operation }] }),
            ...(conditions.length > 0 && { when: conditions }),
          };
        }),
      })),
    );
    const isDry = spec.mode === 'PERMISSIVE';
    return rules.map((one, index) => {
      const own = rules.length === 1 ? name : `${name}-${index}`;
      return policy(
        own,
        namespace,
        { ...(one.selector && { selector: one.selector }), rules: one.rules },
        isDry,
      );
    });
  }

  /** One for each service that the rule is for; a service by itself, since policies select workloads. */
  #rule(rule: Rule, { namespace, name }: Role) {
    const {
      services = ['*'],
      constraints = [],
      hosts,
      notHosts,
      paths,
      notPaths,
      methods,
      notMethods,
    } = rule;
    const fields = {
      hosts,
      notHosts,
      paths: restrictive(paths),
      notPaths,
      methods: restrictive(methods),
      notMethods,
      ports: rule.ports?.map(String),
      notPorts: rule.notPorts?.map(String),
    };
    const operation = Object.fromEntries(Object.entries(fields).filter(([, list]) => list !== undefined));
    const labels: Record<string, string> = {};
    const when: { key: string; values: readonly string[] }[] = [];
    for (const { key, values = [] } of constraints) {
      const [, label] = /^destination\.labels\[(.+)\]$/.exec(key) ?? [];
      if (
        label === undefined &&
        /^(?:request\.headers\[|destination\.(?:ip|port)$|connection\.sni$|experimental\.)/.test(key)
      ) {
        when.push({ key, values });
      } else if (label !== undefined && values.length === 1) labels[label] = values[0] ?? '';
      else {
        this.#losses.push(
          `ServiceRole ${namespace}/${name}: the constraint ${key} has no equal; its rule is left out`,
        );
        return [];
      }
    }
    return services.flatMap((service) => {
      const selector = this.#selectorFor(service, namespace, labels, name);
      if (selector === undefined) return [];
      return [{ selector: selector.matchLabels && selector, operation: empty(operation), when }];
    });
  }

  #selectorFor(service: string, namespace: string, labels: Labels, role: string) {
    const extra = Object.keys(labels).length > 0;
    if (service === '*') return extra ? { matchLabels: labels } : { matchLabels: undefined };
    const [short = ''] = service.split('.');
    if (short.includes('*')) {
      this.#losses.push(
        `ServiceRole ${namespace}/${role}: ${service} names services by a pattern; its rule is left out`,
      );
      return undefined;
    }
    const { matchLabels } = this.#selectorOf(short, namespace);
    return { matchLabels: { ...matchLabels, ...labels } };
  }

  #selectorOf(service: string, namespace: string): { readonly matchLabels: Labels } {
    const known = this.#selectors.get(`${namespace}/${service}`);
    if (known === undefined) {
      this.#losses.push(
        `the Service ${namespace}/${service} is not among the documents: its workloads are taken to have the label app=${service}`,
      );
    }
    return { matchLabels: known ?? { app: service } };
  }

  #subject(subject: Subject, binding: string) {
    const { user, properties = {} } = subject;
    const field = (name: string) =>
      (subject as Readonly<Record<string, unknown>>)[name] as readonly string[] | undefined;
    if (subject.group !== undefined || field('groups') !== undefined || field('notGroups') !== undefined) {
      this.#losses.push(
        `ServiceRoleBinding ${binding}: groups were the claim "groups" of a token; write when: request.auth.claims[groups]. The subject is left out`,
      );
      return undefined;
    }
    // `*` was everybody, with or without an identity.
    const named = [...(user === undefined ? [] : [user]), ...(field('names') ?? [])];
    const names = named.includes('*') ? [] : named;
    const source = {
      ...(names.length > 0 && { principals: names }),
      ...(field('notNames') && { notPrincipals: field('notNames') }),
      ...(field('namespaces') && { namespaces: field('namespaces') }),
      ...(field('notNamespaces') && { notNamespaces: field('notNamespaces') }),
      ...(field('ips') && { ipBlocks: field('ips') }),
      ...(field('notIps') && { notIpBlocks: field('notIps') }),
    };
    const when = Object.entries(properties).map(([key, value]) => ({ key, values: [value] }));
    return { source: empty(source), when };
  }
}

function roleOf({ spec }: Binding): string {
  return spec.roleRef?.name ?? spec.role ?? '';
}

/** A list that takes everything says nothing. */
function restrictive(list: readonly string[] | undefined): readonly string[] | undefined {
  return list?.includes('*') ? undefined : list;
}

function empty<T extends object>(fields: T): T | undefined {
  return Object.keys(fields).length === 0 ? undefined : fields;
}

function policy(name: string, namespace: string, spec: object, isDry: boolean): MigratedPolicy {
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name, namespace, ...(isDry && { annotations: { 'istio.io/dry-run': 'true' } }) },
    spec: { ...spec },
  };
}

/** YAML may have a number or a truth value where a text is meant. */
function textOf(value: PlainValue | undefined): string {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : '';
}
