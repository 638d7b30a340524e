/** When the extension's code began to run (milliseconds of `performance.now`): the first module of the bundle. */
export const began = performance.now();
