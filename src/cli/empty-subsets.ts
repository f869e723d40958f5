import { servicesIn } from './mesh-services.js';
import type { Output } from './output.js';
import type { PlaneOptions } from './plane-options.js';

/** Tells of versions that are to get requests and have no endpoint: these are answered with 503. */
export async function tellEmptySubsets(
  {
    service: name,
    namespace,
    ...plane
  }: PlaneOptions & { readonly service: string; readonly namespace: string },
  shares: readonly (readonly [string, number])[],
  output: Output,
): Promise<void> {
  const { services } = await servicesIn(plane, { name, namespace });
  const empty = new Set(
    services.flatMap(({ subsets }) =>
      subsets.filter(({ endpoints }) => endpoints === 0).map((subset) => subset.name),
    ),
  );
  for (const [version, percent] of shares) {
    if (percent > 0 && empty.has(version))
      output.err(
        `warning: ${name} has no endpoint of version ${version}: ${percent} % of its requests are answered with 503 until one is there\n`,
      );
  }
}
