import { meetsExpression } from '../kinds/label-expression.js';
import type { PlainObject, PlainValue } from '../schema/value.js';
import { labelsAt, list, text, texts } from './plain.js';

export type Labels = Readonly<Record<string, string>>;

/** Whether the labels have every pair of the selector; an empty selector takes everything. */
export function selects(selector: Labels, labels: Labels): boolean {
  return Object.entries(selector).every(([key, value]) => labels[key] === value);
}

/** `app=web,version=v1`, ordered by key. */
export function selectorText(selector: Labels): string {
  return Object.entries(selector)
    .map(([key, value]) => `${key}=${value}`)
    .sort()
    .join(',');
}

/** Whether a Kubernetes LabelSelector takes the labels; one that is not there takes all (as webhooks have it). */
export function labelSelectorMatches(selector: PlainObject | undefined, labels: Labels): boolean {
  if (selector === undefined) return true;
  return (
    selects(labelsAt(selector, 'matchLabels'), labels) &&
    list(selector, 'matchExpressions').every((expression) => expressionMatches(expression, labels))
  );
}

function expressionMatches(expression: PlainValue, labels: Labels): boolean {
  const value = labels[text(expression, 'key')];
  return meetsExpression(value, text(expression, 'operator'), texts(expression, 'values'));
}
