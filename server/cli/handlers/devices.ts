import type { Handlers } from '../commands/index.ts';
import { table } from '../render.ts';
import { withEngine } from './engine.ts';

export const deviceHandlers: Pick<Handlers, 'devices'> = {
  devices: async ({ threads }, { signal }) => {
    const found = await withEngine((engine) =>
      engine.call('devices', { threads: threads ?? null }, { signal }),
    );
    const rows = found.devices.map(({ device, works, milliseconds, tested, reason }) => [
      device,
      works ? 'works' : '-',
      milliseconds === null ? '' : `${milliseconds.toFixed(1)} ms`,
      tested,
      reason ?? '',
    ]);
    const auto = `auto: ${found.auto.device} (${found.auto.reason})\n`;
    const cores = `CPU threads unless given: ${found.threads}\n`;
    return {
      data: { ...found },
      text: table(['device', 'state', '0.25 GFLOP', 'tested', 'why not'], rows) + auto + cores,
    };
  },
};
