/** The token in use, for the socket and for REST: one call to `getToken` at a time, whoever asks. */
import { ChatError } from "./errors.ts";
import type { ChatOptions } from "./types.ts";
import { TokenUnavailable } from "./types.ts";

export interface Tokens {
  /** The last one, while nobody refused it. */
  current(): Promise<string>;
  /** Another one, or the same if `getToken` finds that it is still good. */
  fresh(why: { refused: boolean }): Promise<string>;
}

/** A `getToken` that never answers must not stop everything for ever. */
const PATIENCE = 30_000;

export function createTokens(getToken: ChatOptions["getToken"]): Tokens {
  let last: string | null = null;
  let asking: Promise<string> | null = null;

  async function ask(why: { refused: boolean }): Promise<string> {
    try {
      last = await inTime(Promise.resolve(getToken(why)));
      return last;
    } catch (error) {
      if (why.refused) last = null;
      throw noToken(error);
    } finally {
      asking = null;
    }
  }

  const fresh = (why: { refused: boolean }) => {
    // Async, so that a `getToken` that throws at once rejects like one that rejects.
    asking ??= Promise.resolve().then(() => ask(why));
    return asking;
  };
  return { fresh, current: async () => last ?? fresh({ refused: false }) };
}

function noToken(error: unknown): ChatError {
  const message = error instanceof Error ? error.message : String(error);
  // By its name too: the application may have bundled this library a second time.
  const isFinal =
    error instanceof TokenUnavailable || (error instanceof Error && error.name === "TokenUnavailable");
  return new ChatError({ code: "NO_TOKEN", message, retryable: !isFinal });
}

async function inTime(token: Promise<string>): Promise<string> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("getToken did not answer in time")), PATIENCE);
  });
  try {
    return await Promise.race([token, late]);
  } finally {
    clearTimeout(timer);
  }
}
