/** What the page needs to know of its webview. */
export interface Page {
  /** Origin that the webview's own files come from. */
  source: string;
  script: string;
  style: string;
  /** One-time word that lets the page's one script run. */
  nonce: string;
}

/** The panel's page: nothing but its own script and style sheet may load, and no inline ones. */
export function panelHtml({ source, script, style, nonce }: Page): string {
  const policy = `default-src 'none'; script-src 'nonce-${nonce}'; style-src ${source} 'nonce-${nonce}'`;
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="UTF-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<!-- The controls' library tries out :focus-visible in a style element of its own, with this nonce. -->
<meta property="csp-nonce" content="${nonce}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="${style}">
<title>Circuit</title>
</head>
<body>
<script nonce="${nonce}" src="${script}"></script>
</body>
</html>
`;
}
