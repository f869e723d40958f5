// What the tests use of services that others bring along. Both packages' own types name those of another proto-loader.

declare module 'grpc-health-check' {
  import type { Server, ServiceDefinition } from '@grpc/grpc-js';

  export const service: ServiceDefinition;
  export class HealthImplementation {
    constructor(states: Readonly<Record<string, string>>);
    setStatus(service: string, state: string): void;
    addToServer(server: Server): void;
  }
}

declare module '@grpc/reflection' {
  import type { Server } from '@grpc/grpc-js';

  export class ReflectionService {
    constructor(definitions: Readonly<Record<string, unknown>>);
    addToServer(server: Server): void;
  }
}
