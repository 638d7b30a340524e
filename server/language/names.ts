/** Commands of the editor that lenses and code actions name. Each takes one `CommandArgument`. */
export const commands = {
  accept: 'circuitAmplifier.pivot.accept',
  reject: 'circuitAmplifier.pivot.reject',
  remove: 'circuitAmplifier.pivot.remove',
  swap: 'circuitAmplifier.pivot.swap',
  /** Asks where to. */
  move: 'circuitAmplifier.pivot.move',
  /** Asks for the token where none is given. */
  desired: 'circuitAmplifier.pivot.desired',
  branches: 'circuitAmplifier.pivot.branches',
  /** Asks for the desired token where none is given. */
  mark: 'circuitAmplifier.pivot.mark',
  exclude: 'circuitAmplifier.trace.exclude',
} as const;

export interface CommandArgument {
  uri: string;
  /** Index of prompt and completion ids. */
  token?: number;
  /** Id of the desired token. */
  desired?: number;
  excluded?: boolean;
}

export const commandTo = (title: string, command: keyof typeof commands, argument: CommandArgument) => ({
  title,
  command: commands[command],
  arguments: [argument],
});
