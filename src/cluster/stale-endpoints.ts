import type { ClusterLoadAssignment } from '../model/endpoint.js';
import type { Agenda } from '../runtime/agenda.js';
import type { Timer } from '../runtime/clock.js';

/**
 * Endpoints that may be used for some time only (Envoy `endpoint_stale_after`): when nothing new was received by then,
 * all of them go. Receiving the same again counts.
 */
export class StaleEndpoints {
  readonly #agenda: Agenda;
  readonly #onStale: (without: ClusterLoadAssignment) => void;
  #timer: Timer | undefined;

  constructor(agenda: Agenda, onStale: (without: ClusterLoadAssignment) => void) {
    this.#agenda = agenda;
    this.#onStale = onStale;
  }

  received(assignment: ClusterLoadAssignment | undefined): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const { staleAfterMs } = assignment ?? {};
    if (assignment === undefined || staleAfterMs === undefined) return;
    this.#timer = this.#agenda.schedule(staleAfterMs, () => this.#onStale({ ...assignment, localities: [] }));
  }

  close(): void {
    this.#timer?.cancel();
  }
}
