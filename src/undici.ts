export { MeshDispatcher } from './bindings/undici/dispatcher.js';
