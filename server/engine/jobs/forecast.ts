import type { Forecast } from '../../pipeline/forecast.ts';
import { forecastRun } from '../../pipeline/forecast.ts';
import type { Models } from '../models.ts';
import type { JobContext } from '../rpc.ts';
import { loadData, type RunAllParams } from './run.ts';

export type ForecastParams = Pick<
  RunAllParams,
  | 'model'
  | 'problems'
  | 'prompts'
  | 'controls'
  | 'watch'
  | 'text'
  | 'controlLimit'
  | 'settings'
  | 'variants'
  | 'seed'
>;

export interface ForecastResult extends Forecast {
  device: string;
  threads: number;
}

/** What the whole amplification is expected to take, from a second or two of work on the loaded model. */
export const forecast =
  (models: Models) =>
  (params: ForecastParams, { signal }: JobContext<never>): Promise<ForecastResult> =>
    models.use(params.model, signal, async ({ model, device }) => ({
      ...(await forecastRun(
        model,
        await loadData(params, model.tokenizer, signal),
        params.settings,
        params.variants,
        signal,
      )),
      device: device.device,
      threads: model.options.threads,
    }));
