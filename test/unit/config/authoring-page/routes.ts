import { type fields, virtualService } from 'inmesh/config';

const beta: fields.VirtualServiceSpecHttpMatch = { headers: { 'x-beta': { exact: 'yes' } } };

export const routes = (host: string) =>
  virtualService(host, { hosts: [host], http: [{ match: [beta], route: [{ destination: { host } }] }] });
