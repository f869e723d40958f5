import { main } from './cli/main.js';
import { endWithReader } from './cli/output.js';

endWithReader();
process.exitCode = await main(process.argv.slice(2));
