// What importing the package costs, against importing undici, in one run: fresh processes, in turns.
//   node bench/import.mjs [--runs 15]
import { execFileSync } from 'node:child_process';

const at = process.argv.indexOf('--runs');
const runs = at < 0 ? 15 : Number(process.argv[at + 1]);
const SPECIFIERS = ['undici', 'inmesh', 'inmesh/undici', 'inmesh/control-plane', '@grpc/grpc-js'];
const times = new Map(SPECIFIERS.map((name) => [name, []]));

for (let run = 0; run < runs; run++) {
  for (const name of SPECIFIERS) {
    const code = `const t = performance.now(); await import('${name}'); console.log(performance.now() - t)`;
    times
      .get(name)
      .push(
        Number(execFileSync(process.execPath, ['--input-type=module', '-e', code], { encoding: 'utf8' })),
      );
  }
}
console.log(
  `Node ${process.version}, median [min-max] of ${runs} fresh processes\n\n| import | ms |\n| --- | --- |`,
);
for (const [name, list] of times) {
  list.sort((a, b) => a - b);
  const show = (value) => value.toFixed(1);
  console.log(
    `| ${name} | ${show(list[Math.floor(list.length / 2)])} [${show(list[0])}-${show(list.at(-1))}] |`,
  );
}
const median = (name) => times.get(name)[Math.floor(runs / 2)];
const ratio = median('inmesh') / median('undici');
console.log(`\ninmesh / undici = ${ratio.toFixed(2)}`);
process.exitCode = ratio <= 2 ? 0 : 1;
