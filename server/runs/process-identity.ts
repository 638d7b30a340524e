import fs from 'node:fs';
import os from 'node:os';

/** One process among all that ever had its number. */
export interface ProcessIdentity {
  pid: number;
  host: string;
  /** When this was written down, ISO 8601. */
  started: string;
  /** Start of the process in kernel ticks since boot; null where the system does not tell (not Linux). */
  processStart: string | null;
}

/** The process that has this number now. */
export function identify(pid: number): ProcessIdentity {
  return {
    pid,
    host: os.hostname(),
    started: new Date().toISOString(),
    processStart: statOf(pid)?.start ?? null,
  };
}

/** False only when the process has surely ended: one of another host cannot be asked. */
export function isAlive(holder: ProcessIdentity): boolean {
  if (holder.host !== os.hostname()) return true;
  // The machine has been started since (one minute of slack for clock changes).
  if (Date.parse(holder.started) < Date.now() - os.uptime() * 1000 - 60_000) return false;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  // The pid lives, perhaps as another process that got the same number, or as a zombie that nobody has waited for.
  const stat = statOf(holder.pid);
  if (stat === null) return true;
  return stat.state !== 'Z' && (holder.processStart === null || stat.start === holder.processStart);
}

/** Fields 3 and 22 of /proc/PID/stat; the command name before them may contain spaces and brackets. */
function statOf(pid: number): { state: string; start: string } | null {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] && fields[19] ? { state: fields[0], start: fields[19] } : null;
  } catch {
    return null;
  }
}
