import { chooseDevice, type DeviceChoice, type DeviceReport, probeDevices } from '../../onnx/devices.ts';
import { defaultThreads } from '../models.ts';

export interface DevicesResult {
  devices: DeviceReport[];
  /** What `auto` means for a model that is not small. */
  auto: DeviceChoice;
  threads: number;
}

/** Tries every device. */
export async function devices({ threads }: { threads: number | null }): Promise<DevicesResult> {
  const used = threads ?? defaultThreads();
  const reports = await probeDevices(used);
  return { devices: reports, auto: chooseDevice(reports, null), threads: used };
}
