import { createBackoff } from '../runtime/backoff.js';
import type { Timer } from '../runtime/clock.js';
import { MeshError, messageOf } from '../runtime/errors.js';
import type { Random } from '../runtime/random.js';
import { createFileSource, type FileSource, type FileSourceOptions } from './file-source.js';
import type { RotatingSource } from './rotation.js';

const READY_TIMEOUT_MS = 15_000;

/**
 * An identity that somebody else keeps current in files, as Istio's agent does. The files may come later than this
 * process, so a start without them is no failure.
 */
export function followFiles(options: FileSourceOptions & { readonly random: Random }): RotatingSource {
  return new FollowedFiles(options);
}

class FollowedFiles implements RotatingSource {
  readonly ready: Promise<void>;
  readonly #options: FileSourceOptions;
  readonly #listeners = new Set<() => void>();
  readonly #backoff;
  readonly #readyTimer: Timer;
  #settleReady: (error?: Error) => void = () => {};
  #files: FileSource | undefined;
  #opening: Promise<void> | undefined;
  #timer: Timer | undefined;
  #isClosed = false;

  constructor({ random, ...options }: FileSourceOptions & { readonly random: Random }) {
    this.#options = options;
    this.#backoff = createBackoff({ baseMs: 200, maxMs: 10_000, jitter: 0.2 }, random);
    this.ready = new Promise((resolve, reject) => {
      this.#settleReady = (error) => (error === undefined ? resolve() : reject(error));
    });
    // Nobody has to wait for it; whoever does still sees the rejection.
    this.ready.catch(() => {});
    this.#readyTimer = options.clock.schedule(READY_TIMEOUT_MS, () =>
      this.#settleReady(
        new MeshError('INMESH_IDENTITY_UNAVAILABLE', 'the identity files did not hold in time', {
          resource: options.certificateFile,
          hint: 'Check that whoever writes them runs; they are looked at until they hold',
        }),
      ),
    );
    void this.#try();
  }

  svid() {
    return this.#files?.svid();
  }

  federated(): readonly string[] {
    return this.#files?.federated?.() ?? [];
  }

  bundle(trustDomain: string) {
    return this.#files?.bundle(trustDomain);
  }

  onUpdate(listener: () => void) {
    // A wrapper, so that the same function may subscribe twice.
    const entry = () => listener();
    this.#listeners.add(entry);
    return () => void this.#listeners.delete(entry);
  }

  async renewNow(): Promise<void> {
    if (this.#files !== undefined) await this.#files.reload();
    else await this.#open();
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#readyTimer.cancel();
    this.#files?.close();
  }

  async #try(): Promise<void> {
    try {
      await this.#open();
    } catch (error) {
      if (this.#isClosed) return;
      this.#options.logger.warn({ error: messageOf(error) }, 'the identity files do not hold yet');
      this.#timer = this.#options.clock.schedule(this.#backoff.next(), () => void this.#try());
    }
  }

  #open(): Promise<void> {
    this.#opening ??= createFileSource(this.#options)
      .then((files) => this.#use(files))
      .finally(() => {
        this.#opening = undefined;
      });
    return this.#opening;
  }

  #use(files: FileSource): void {
    if (this.#isClosed) {
      files.close();
      return;
    }
    this.#files?.close();
    this.#files = files;
    this.#timer?.cancel();
    this.#readyTimer.cancel();
    files.onUpdate(() => this.#tell());
    this.#settleReady();
    this.#tell();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}
