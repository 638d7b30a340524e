import { type CancellationToken, ProgressLocation, window } from 'vscode';

/** Runs a request that may take long, in the notification area, where it can be cancelled. */
export const withProgress = <R>(title: string, work: (token: CancellationToken) => Promise<R>): Thenable<R> =>
  window.withProgress({ location: ProgressLocation.Notification, title, cancellable: true }, (_, token) =>
    work(token),
  );
