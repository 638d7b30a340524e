import { type CancellationToken, CancellationTokenSource, ProgressLocation, window } from 'vscode';

/** Milliseconds before a wait is shown: most are over by then. */
const PATIENCE = 400;

/** Runs work that may take long: shown with a button to cancel it once it does. */
export async function withProgress<R>(
  title: string,
  work: (token: CancellationToken, tell: (message: string) => void) => Promise<R>,
): Promise<R> {
  const source = new CancellationTokenSource();
  let last = '';
  let tell = (message: string) => {
    last = message;
  };
  const result = work(source.token, (message) => tell(message));
  const timer = setTimeout(() => {
    void window.withProgress(
      { location: ProgressLocation.Notification, title: `Circuit Amplifier: ${title}`, cancellable: true },
      async (progress, token) => {
        token.onCancellationRequested(() => source.cancel());
        progress.report({ message: last });
        tell = (message) => progress.report({ message });
        await result.catch(() => {});
      },
    );
  }, PATIENCE);
  try {
    return await result;
  } finally {
    clearTimeout(timer);
    source.dispose();
  }
}
