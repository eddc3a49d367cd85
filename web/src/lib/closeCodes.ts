/** What the end of a connection means for the next one; the codes are those of `contracts/errors.py`. */

export const NORMAL = 1000;
/** Where there was no close frame at all: a network that broke, or a socket that we gave up. */
export const ABNORMAL = 1006;
export const FRAME_TOO_LARGE = 1009;
export const DRAINING = 1012;
export const TOKEN_EXPIRED = 4002;

export interface Verdict {
  /** Whether to come back by oneself. */
  readonly reconnect: boolean;
  /** When, where the gateway said it. */
  readonly afterMs: number | null;
  /** The token was the reason: fetch another one first. */
  readonly newToken: boolean;
}

/** No gateway drains for longer; a larger number is a mistake, which must not keep people away. */
const LONGEST_DRAIN = 120_000;

export function verdictOn(code: number, reason: string): Verdict {
  const isRefusal = code >= 4500 && code <= 4999;
  return {
    reconnect: !isRefusal && code !== NORMAL && code !== FRAME_TOO_LARGE,
    afterMs: code === DRAINING ? reconnectInMs(reason) : null,
    newToken: code === TOKEN_EXPIRED,
  };
}

function reconnectInMs(reason: string): number | null {
  try {
    const told: unknown = JSON.parse(reason);
    if (typeof told !== "object" || told === null || !("reconnectInMs" in told)) return null;
    const { reconnectInMs: wait } = told;
    return typeof wait === "number" && wait >= 0 ? Math.min(wait, LONGEST_DRAIN) : null;
  } catch {
    return null;
  }
}
