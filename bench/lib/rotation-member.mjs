// Processes of bench/rotation.mjs: how the bench sees them, and how they tell of their certificates.
import { fork } from 'node:child_process';

/** A process with members of the mesh, as the bench sees it. */
export class Member {
  role;
  /** What it said when it was ready. */
  ready;
  /** Renewals of that of its identities that has had the fewest. */
  least = 0;
  /** Leaf certificates in force, PEM. */
  leaves = [];
  /** When the last certificate came. */
  updatedMs = 0;
  #process;

  /** Starts `rotation-<role>.mjs`, and waits until it is ready. */
  static async start(role, world) {
    const member = new Member(role, world);
    member.ready = (await member.#answer('ready')).ready;
    return member;
  }

  constructor(role, world) {
    this.role = role;
    this.#process = fork(new URL(`rotation-${role}.mjs`, import.meta.url), [JSON.stringify(world)], {
      // Latencies are many numbers.
      serialization: 'advanced',
    });
    this.#process.on('message', ({ ready: _ready, ...facts }) => Object.assign(this, facts));
    this.#process.on('exit', (code) => {
      if (code === null) return;
      console.error(`the ${role} ended with code ${code}`);
      process.exit(1);
    });
  }

  send(message) {
    this.#process.send(message);
  }

  ask(message, fact) {
    const answer = this.#answer(fact);
    this.send(message);
    return answer;
  }

  kill() {
    this.#process.kill();
  }

  #answer(fact) {
    return new Promise((resolve) => {
      const hear = (message) => {
        if (!(fact in message)) return;
        this.#process.off('message', hear);
        resolve(message);
      };
      this.#process.on('message', hear);
    });
  }
}

/** In such a process: tells the bench of each new certificate of its meshes. */
export function tellCertificates(meshes) {
  const serials = meshes.map(() => new Set());
  const tell = () => {
    for (const [at, mesh] of meshes.entries()) serials[at].add(mesh.identity.svid().leaf.serialNumber);
    process.send({
      least: Math.min(...serials.map(({ size }) => size - 1)),
      leaves: meshes.map(({ identity }) => identity.svid().leaf.toString()),
      updatedMs: Date.now(),
    });
  };
  // A change of roots alone is no new certificate.
  const known = meshes.map(() => '');
  for (const [at, { identity }] of meshes.entries()) {
    identity.onUpdate(() => {
      const { serialNumber } = identity.svid().leaf;
      if (serialNumber === known[at]) return;
      known[at] = serialNumber;
      tell();
    });
  }
  tell();
}
