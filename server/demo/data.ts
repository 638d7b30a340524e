/** Writes the demo's data files: `npm run demo:data`, or `npm run demo:data -- FOLDER`. */
import { writeDemoData } from './write.ts';

const [folder = 'media/demo/data'] = process.argv.slice(2);
writeDemoData(folder);
