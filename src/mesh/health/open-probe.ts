import type { OpenProbe } from '../../cluster/health/probe.js';
import type { Clock } from '../../runtime/clock.js';
import { GrpcProbe } from './grpc-probe.js';
import { HttpProbe } from './http-probe.js';
import { TcpProbe } from './tcp-probe.js';

/** How the hosts of clusters are checked: one line per kind of check. */
export function createProbes(clock: Clock): OpenProbe {
  return (target) => {
    const { checker } = target.check;
    switch (checker.kind) {
      case 'http':
        return new HttpProbe(target, checker, clock);
      case 'tcp':
        return new TcpProbe(target, checker);
      case 'grpc':
        return new GrpcProbe(target, checker, clock);
    }
  };
}
