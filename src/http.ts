// The package's sub-path './http': agents for node:http(s) clients and the libraries on them.
export {
  MeshAgent,
  type MeshAgentOptions,
  MeshHttpsAgent,
  type MeshHttpsAgentOptions,
} from './bindings/http-agent/agent.js';
