import { create, type DescMessage } from '@bufbuild/protobuf';
import { LB_NAMESPACE, type MetadataStruct } from '../model/metadata.js';
import type { RetryPolicy } from '../model/retry.js';
import { packAny } from '../proto/any.js';
import {
  core,
  retryOmitCanaryHosts,
  retryOmitHostMetadata,
  retryPreviousHosts,
  retryPreviousPriorities,
  route,
} from '../proto/xds.js';
import { decodeAny } from './codec.js';
import { onlyFields } from './field-guard.js';
import { decodeMetadata } from './metadata.js';
import { at, type Path, refuse } from './path.js';

const PREVIOUS_HOSTS = 'envoy.retry_host_predicates.previous_hosts';
const OMIT_CANARY = 'envoy.retry_host_predicates.omit_canary_hosts';
const OMIT_METADATA = 'envoy.retry_host_predicates.omit_host_metadata';
const PREVIOUS_PRIORITIES = 'envoy.retry_priorities.previous_priorities';

const predicateFields = onlyFields(() => route.RetryPolicy_RetryHostPredicateSchema, {
  enforced: ['name', 'typed_config'],
});
const priorityFields = onlyFields(() => route.RetryPolicy_RetryPrioritySchema, {
  enforced: ['name', 'typed_config'],
});

const metadataFields = onlyFields(() => core.MetadataSchema, { enforced: ['filter_metadata'] });

/** How hosts are chosen for retries. */
type HostRules = Pick<
  RetryPolicy,
  'avoidPreviousHosts' | 'omitCanaryHosts' | 'omitHostMetadata' | 'previousPriorities'
>;

/** The predicates on hosts and the choice of priorities. */
export function decodeHostRules(message: route.RetryPolicy, path: Path): HostRules {
  let avoidPreviousHosts = false;
  let omitCanaryHosts: true | undefined;
  const omitHostMetadata: MetadataStruct[] = [];
  message.retryHostPredicate.forEach((predicate, index) => {
    const rule = decodePredicate(predicate, at(path, 'retry_host_predicate', index));
    if (rule === 'previous') avoidPreviousHosts = true;
    else if (rule === 'canary') omitCanaryHosts = true;
    else omitHostMetadata.push(rule);
  });
  return {
    avoidPreviousHosts,
    omitCanaryHosts,
    omitHostMetadata: omitHostMetadata.length === 0 ? undefined : omitHostMetadata,
    previousPriorities:
      message.retryPriority && decodePriority(message.retryPriority, at(path, 'retry_priority')),
  };
}

function decodePredicate(
  predicate: route.RetryPolicy_RetryHostPredicate,
  path: Path,
): 'previous' | 'canary' | MetadataStruct {
  predicateFields(predicate, path);
  const { name, configType } = predicate;
  // Envoy: the type of the configuration decides; without one, the name does.
  if (configType.case === undefined) {
    if (name === PREVIOUS_HOSTS) return 'previous';
    if (name === OMIT_CANARY) return 'canary';
    // Without metadata there is nothing that a host could hold.
    if (name === OMIT_METADATA) return {};
    return refuse(path, `the predicate ${JSON.stringify(name)} is not supported`);
  }
  const any = configType.value;
  if (decodeAny(retryPreviousHosts.PreviousHostsPredicateSchema, any, path) !== undefined) return 'previous';
  if (decodeAny(retryOmitCanaryHosts.OmitCanaryHostsPredicateSchema, any, path) !== undefined)
    return 'canary';
  const metadata = decodeAny(retryOmitHostMetadata.OmitHostMetadataConfigSchema, any, path);
  if (metadata === undefined) return refuse(path, `the predicate ${JSON.stringify(name)} is not supported`);
  const { metadataMatch } = metadata;
  if (metadataMatch !== undefined) metadataFields(metadataMatch, at(path, 'metadata_match'));
  return decodeMetadata(metadataMatch)[LB_NAMESPACE] ?? {};
}

function decodePriority(
  priority: route.RetryPolicy_RetryPriority,
  path: Path,
): NonNullable<RetryPolicy['previousPriorities']> {
  priorityFields(priority, path);
  const { name, configType } = priority;
  const schema = retryPreviousPriorities.PreviousPrioritiesConfigSchema;
  const config = configType.case === undefined ? undefined : decodeAny(schema, configType.value, path);
  if (config === undefined)
    return refuse(path, `the retry priority ${JSON.stringify(name)} is not supported`);
  // Envoy validates the field: greater than 0.
  return config.updateFrequency > 0
    ? { updateFrequency: config.updateFrequency }
    : refuse(at(path, 'update_frequency'), 'must be greater than 0');
}

/** Writes the predicates and the choice of priorities into the message. */
export function encodeHostRules(policy: HostRules, message: route.RetryPolicy): void {
  const { avoidPreviousHosts, omitCanaryHosts, omitHostMetadata = [], previousPriorities } = policy;
  const predicates: route.RetryPolicy_RetryHostPredicate[] = [];
  const add = (name: string, schema: DescMessage, message = create(schema)) =>
    predicates.push(
      create(route.RetryPolicy_RetryHostPredicateSchema, {
        name,
        configType: { case: 'typedConfig', value: packAny(schema, message) },
      }),
    );
  if (avoidPreviousHosts) add(PREVIOUS_HOSTS, retryPreviousHosts.PreviousHostsPredicateSchema);
  if (omitCanaryHosts === true) add(OMIT_CANARY, retryOmitCanaryHosts.OmitCanaryHostsPredicateSchema);
  for (const struct of omitHostMetadata) {
    const schema = retryOmitHostMetadata.OmitHostMetadataConfigSchema;
    // JSON in, JSON out: the model's values are those of a Struct.
    const value = JSON.parse(JSON.stringify(struct));
    add(
      OMIT_METADATA,
      schema,
      create(schema, { metadataMatch: { filterMetadata: { [LB_NAMESPACE]: value } } }),
    );
  }
  message.retryHostPredicate = predicates;
  if (previousPriorities === undefined) return;
  const schema = retryPreviousPriorities.PreviousPrioritiesConfigSchema;
  message.retryPriority = create(route.RetryPolicy_RetryPrioritySchema, {
    name: PREVIOUS_PRIORITIES,
    configType: { case: 'typedConfig', value: packAny(schema, create(schema, previousPriorities)) },
  });
}
