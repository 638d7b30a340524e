/**
 * What ONNX Runtime and the libraries below it read from the process's environment, before the first session. A worker has only
 * a copy of the environment, which native code does not see: whoever starts a worker or a process sets these first.
 */
export const RUNTIME_ENVIRONMENT = {
  /** Otherwise the runtime sends usage data to its vendor and writes logs to the temporary folder. */
  ORT_DISABLE_TELEMETRY: '1',
  /**
   * NVIDIA's libraries round the factors of float32 products to 10 bits (TF32) by default. The Node binding passes no option
   * for it (CUDA's `use_tf32`) to the provider; this forbids it below.
   */
  NVIDIA_TF32_OVERRIDE: '0',
} as const;
