import { type Action, reduce } from './reduce.ts';
import { initial, type State } from './state.ts';

export type Dispatch = (action: Action) => void;

export interface Store {
  readonly state: State;
  dispatch: Dispatch;
  /**
   * Runs `effect` now and before the next frame whenever one of the values that `select` gives has changed. Several
   * changes within a frame make one call.
   */
  watch<T extends readonly unknown[]>(
    select: (state: State) => [...T],
    effect: (...values: NoInfer<T>) => void,
  ): void;
}

/** @param schedule runs its argument before the next frame */
export function createStore(schedule: (flush: () => void) => void): Store {
  let state = initial;
  let pending = false;
  const watchers: (() => void)[] = [];
  const flush = () => {
    pending = false;
    for (const update of watchers) update();
  };
  return {
    get state() {
      return state;
    },
    dispatch(action) {
      const next = reduce(state, action);
      if (next === state) return;
      state = next;
      if (!pending) schedule(flush);
      pending = true;
    },
    watch(select, effect) {
      let last = select(state);
      watchers.push(() => {
        const now = select(state);
        if (now.every((value, i) => Object.is(value, last[i]))) return;
        last = now;
        effect(...now);
      });
      effect(...last);
    },
  };
}
