import type { HeaderMap } from '../service/headers.js';

/** A coding that somebody offers. */
export interface CodingOffer {
  readonly coding: string;
  /** Goes before others that are liked as much. */
  readonly isFirst: boolean;
}

/** The elements of all lines of a header that is a list, trimmed. */
export function listOf(headers: HeaderMap, name: string): string[] {
  return headers
    .getAll(name)
    .join(',')
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '');
}

/** Whether a header that is a list has this element, whatever its case. */
export function lists(headers: HeaderMap, name: string, element: string): boolean {
  return headers.has(name) && listOf(headers, name).some((one) => one.toLowerCase() === element);
}

interface Wish {
  readonly coding: string;
  readonly quality: number;
}

function wishOf(text: string): Wish | undefined {
  const [coding = '', ...parameters] = text.split(';').map((one) => one.trim().toLowerCase());
  const quality = parameters.find((one) => one.startsWith('q='))?.slice(2);
  if (quality === undefined) return { coding, quality: 1 };
  const value = /^\d+(\.\d*)?$|^\.\d+$/.test(quality) ? Number(quality) : Number.NaN;
  return Number.isNaN(value) ? undefined : { coding, quality: value };
}

/**
 * The coding for a caller, by its `accept-encoding`; undefined when it likes none of them, or none so much as the body as
 * it is. What is liked equally goes by the caller's order (Envoy).
 */
export function chooseCoding(accepts: readonly string[], offers: readonly CodingOffer[]): string | undefined {
  const wishes = accepts.map(wishOf).filter((one) => one !== undefined);
  const named = new Set(wishes.map(({ coding }) => coding));
  const unnamed = offers.find(({ coding }) => !named.has(coding))?.coding;
  const preferred = offers.findLast(({ isFirst }) => isFirst)?.coding;
  let best: Wish | undefined;
  for (const { coding, quality } of wishes) {
    const meant = coding === '*' ? unnamed : coding;
    if (meant === undefined || quality <= 0) continue;
    if (meant !== 'identity' && !offers.some((offer) => offer.coding === meant)) continue;
    const isBetter =
      best === undefined || quality > best.quality || (quality === best.quality && meant === preferred);
    if (isBetter) best = { coding: meant, quality };
  }
  return best?.coding === 'identity' ? undefined : best?.coding;
}
