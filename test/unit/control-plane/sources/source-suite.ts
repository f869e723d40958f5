import { afterEach, describe, expect, test } from 'vitest';
import { type ConfigStore, createConfigStore } from '../../../../src/control-plane/store/config-store.js';
import { differences } from '../../../../src/control-plane/store/history.js';
import { systemClock } from '../../../../src/runtime/clock.js';
import { silentLogger } from '../../../../src/runtime/log.js';
import { until } from '../../../../src/runtime/signal.js';

/** A source of configuration, and the hands that change what it has. */
export interface TestedSource {
  /** Supplies the store until the signal aborts; a second call begins anew, with what there is then. */
  run(store: ConfigStore, signal: AbortSignal): Promise<void>;
  /** Makes these documents all that there is, in one step: others of the same object are replaced, the rest goes. */
  set(documents: readonly object[]): Promise<void> | void;
  /** What others know that it was refused by; by default the store is asked. */
  refused?(): Promise<void>;
  close?(): Promise<void> | void;
}

const service = (name: string, port = 80) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'default' },
  spec: { ports: [{ name: 'http', port }] },
});
const broken = (name: string) => ({ ...service(name), spec: { ports: 7 } });

const shown = (store: ConfigStore) =>
  store.current.value.list('Service').map(({ name, spec }) => `${name}:${spec.ports?.[0]?.port}`);
const untilShown = (store: ConfigStore, ...expected: readonly string[]) =>
  until(store.current, () => shown(store).join() === expected.join());

/**
 * What every source of configuration does, whatever it reads: a new one passes this suite.
 * @param create a source that has no documents yet
 */
export function configSourceSuite(name: string, create: () => Promise<TestedSource> | TestedSource): void {
  describe(`source: ${name}`, () => {
    const ends: (() => unknown)[] = [];
    afterEach(async () => {
      for (const end of ends.splice(0).reverse()) await end();
    });

    async function setUp(documents: readonly object[] = []) {
      const source = await create();
      ends.push(() => source.close?.());
      const store = createConfigStore({ clock: systemClock, logger: silentLogger });
      await source.set(documents);
      return { source, store, ...start(source, store) };
    }

    function start(source: TestedSource, store: ConfigStore) {
      const controller = new AbortController();
      const ended = source.run(store, controller.signal);
      const stop = async () => {
        controller.abort();
        await ended;
      };
      ends.push(stop);
      return { stop };
    }

    const refused = (source: TestedSource, store: ConfigStore) =>
      source.refused?.() ?? until(store.lastRejected, (value) => value !== undefined);

    test('what there is comes into force, in its order', async () => {
      const { store } = await setUp([service('b'), service('a'), service('c')]);
      await untilShown(store, 'b:80', 'a:80', 'c:80');
    });

    test('a change is seen as a whole: new, changed and removed documents in one revision', async () => {
      const { source, store } = await setUp([service('a'), service('b')]);
      await untilShown(store, 'a:80', 'b:80');
      const seen: string[][] = [];
      store.onChange((change) =>
        seen.push(
          differences(change)
            .map((one) => one.name)
            .sort(),
        ),
      );
      await source.set([service('a', 81), service('c')]);
      await untilShown(store, 'a:81', 'c:80');
      expect(seen).toEqual([['a', 'b', 'c']]);
    });

    test('changes come in their order: what is in force in the end is the last', async () => {
      const { source, store } = await setUp([service('a')]);
      for (let port = 1; port <= 20; port++) await source.set([service('a', port)]);
      await untilShown(store, 'a:20');
    });

    test('an error in one document takes nothing away: the last good one is in force until it is repaired', async () => {
      const { source, store } = await setUp([service('a'), service('b')]);
      await untilShown(store, 'a:80', 'b:80');
      const { revision } = store.current.value;
      await source.set([service('a', 81), broken('b')]);
      await refused(source, store);
      expect([shown(store), store.current.value.revision]).toEqual([['a:80', 'b:80'], revision]);
      await source.set([service('a', 81), service('b')]);
      await untilShown(store, 'a:81', 'b:80');
      expect(store.lastRejected.value).toBeUndefined();
    });

    test('an object that another source has is a conflict, which takes nothing away from either', async () => {
      const { source, store } = await setUp([service('a')]);
      await untilShown(store, 'a:80');
      store.propose('other', { files: [{ file: 'other.json', content: JSON.stringify(service('theirs')) }] });
      const before = shown(store).sort();
      await source.set([service('a'), service('theirs', 99)]);
      await refused(source, store);
      expect(shown(store).sort()).toEqual(before);
      await source.set([service('a', 82)]);
      await until(store.current, () => shown(store).includes('a:82'));
      expect(shown(store)).toContain('theirs:80');
    });

    test('who begins anew has what changed meanwhile, as one revision; what is the same is no change', async () => {
      const { source, store, stop } = await setUp([service('a'), service('b')]);
      await untilShown(store, 'a:80', 'b:80');
      await stop();
      const { revision } = store.current.value;
      await source.set([service('a'), service('c')]);
      await source.set([service('a'), service('c', 81)]);
      const again = start(source, store);
      await untilShown(store, 'a:80', 'c:81');
      expect(store.current.value.revision).toBe(revision + 1);
      await again.stop();
      let count = 0;
      store.onChange(({ before, after }) => {
        if (before.revision !== after.revision) count++;
      });
      start(source, store);
      await source.set([service('a'), service('c', 82)]);
      await untilShown(store, 'a:80', 'c:82');
      expect(count).toBe(1);
    });

    test('after its end nothing comes any more', async () => {
      const { source, store, stop } = await setUp([service('a')]);
      await untilShown(store, 'a:80');
      await stop();
      await source.set([service('a', 81)]);
      const second = createConfigStore({ clock: systemClock, logger: silentLogger });
      start(source, second);
      await untilShown(second, 'a:81');
      expect(shown(store)).toEqual(['a:80']);
      const controller = new AbortController();
      controller.abort();
      await source.run(store, controller.signal);
      expect(shown(store)).toEqual(['a:80']);
    });
  });
}
