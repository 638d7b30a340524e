import {
  chooseDevice,
  type DeviceChoice,
  type DeviceReport,
  probeDevices,
  TESTED,
} from '../../onnx/devices.ts';
import { defaultThreads } from '../models.ts';

export interface DevicesResult {
  /** `tested`: how far the device was ever run in development. */
  devices: (DeviceReport & { tested: string })[];
  /** What `auto` means for a model that is not small. */
  auto: DeviceChoice;
  threads: number;
}

/** Tries every device. */
export async function devices({ threads }: { threads: number | null }): Promise<DevicesResult> {
  const used = threads ?? defaultThreads();
  const reports = await probeDevices(used);
  const found = reports.map((report) => ({ ...report, tested: TESTED[report.device] }));
  return { devices: found, auto: chooseDevice(reports, null), threads: used };
}
