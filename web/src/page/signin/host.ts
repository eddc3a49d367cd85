/**
 * A page that embeds ours, or leads to it, gives the token.
 *
 * Leading here: `https://chat.example.com/#token=…`; a fragment is sent to no server. Embedding: we tell the frame
 * around us `{type: "palabre.token-needed"}` whenever we need a token, and it answers `{type: "palabre.token", token}`.
 * Only the origins that the gateway names are told anything, and listened to.
 */

const PATIENCE = 20_000;

/** The token in the address, which is taken out of it. */
export function tokenInAddress(): string | null {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token) history.replaceState(null, "", location.pathname);
  return token;
}

export const isEmbedded = () => window.parent !== window;

export function tokenFromHost(origins: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const listening = new AbortController();
    const end = setTimeout(() => {
      listening.abort();
      reject(new Error("the page around this one gave no token"));
    }, PATIENCE);
    const listen = ({ origin, source, data }: MessageEvent<{ type?: unknown; token?: unknown } | null>) => {
      if (source !== window.parent || !origins.includes(origin)) return;
      if (data?.type !== "palabre.token" || typeof data.token !== "string") return;
      clearTimeout(end);
      listening.abort();
      resolve(data.token);
    };
    window.addEventListener("message", listen, { signal: listening.signal });
    // The browser delivers it to the one origin that is really there, and complains about the others.
    const ancestor = "ancestorOrigins" in location ? location.ancestorOrigins[0] : undefined;
    for (const origin of ancestor ? origins.filter((one) => one === ancestor) : origins)
      window.parent.postMessage({ type: "palabre.token-needed" }, origin);
  });
}
