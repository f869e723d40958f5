// Two nginx hops with mutual TLS between them: the stand-in for a pair of sidecars.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';

/** The nginx binary; Debian's package is installed when it is missing and this user may do that. */
export function findNginx() {
  for (let attempt = 0; attempt < 2; attempt++) {
    for (const binary of ['/usr/sbin/nginx', '/usr/bin/nginx']) {
      try {
        execFileSync(binary, ['-v'], { stdio: 'ignore' });
        return binary;
      } catch {
        // Not there.
      }
    }
    if (attempt > 0 || process.getuid?.() !== 0) break;
    try {
      execFileSync('apt-get', ['update', '-qq'], { stdio: 'ignore' });
      execFileSync('apt-get', ['install', '-y', '-qq', 'nginx-light'], { stdio: 'ignore' });
    } catch {
      break;
    }
  }
  return undefined;
}

/**
 * Starts client -> hop 1 -> mTLS -> hop 2 -> upstream.
 * @returns {Promise<{ port: number, pids: number[], close(): void }>}
 */
export async function startHops(binary, folder, upstreamPort, { svid, bundle }, prefix) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'cert.pem'), svid.certificatesPem.join(''));
  writeFileSync(join(folder, 'key.pem'), svid.privateKey.export({ type: 'pkcs8', format: 'pem' }));
  writeFileSync(join(folder, 'ca.pem'), bundle.authorities.join(''));
  const [first, second] = [await freePort(), await freePort()];
  const file = (name) => join(folder, name);
  const server = (listen, tls, upstream, upstreamTls) => `
  upstream u${listen} { server 127.0.0.1:${upstream}; keepalive 128; keepalive_requests 1000000; }
  server {
    listen 127.0.0.1:${listen}${tls ? ' ssl' : ''};
    ${
      tls
        ? `ssl_certificate ${file('cert.pem')}; ssl_certificate_key ${file('key.pem')};
    ssl_client_certificate ${file('ca.pem')}; ssl_verify_client on; ssl_protocols TLSv1.3;`
        : ''
    }
    location / {
      proxy_pass ${upstreamTls ? 'https' : 'http'}://u${listen};
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      ${
        upstreamTls
          ? `proxy_ssl_certificate ${file('cert.pem')}; proxy_ssl_certificate_key ${file('key.pem')};
      proxy_ssl_trusted_certificate ${file('ca.pem')}; proxy_ssl_protocols TLSv1.3;`
          : ''
      }
    }
  }`;
  const start = (name, block) => {
    const configuration = file(`${name}.conf`);
    writeFileSync(
      configuration,
      `daemon off; master_process off; worker_processes 1; pid ${file(`${name}.pid`)}; error_log stderr crit;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 1000000; client_body_temp_path ${folder}; proxy_temp_path ${folder};
  fastcgi_temp_path ${folder}; uwsgi_temp_path ${folder}; scgi_temp_path ${folder};${block}
}
`,
    );
    const [command, ...args] = [...prefix, binary, '-c', configuration];
    return spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  };
  const hops = [
    start('hop1', server(first, false, second, true)),
    start('hop2', server(second, true, upstreamPort, false)),
  ];
  await reachable(first);
  return {
    port: first,
    pids: hops.map(({ pid }) => pid),
    close() {
      for (const hop of hops) hop.kill();
    },
  };
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

async function reachable(port) {
  for (;;) {
    const socket = connect(port, '127.0.0.1');
    const open = await new Promise((resolve) => {
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
    });
    socket.destroy();
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
