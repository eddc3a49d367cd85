/** How long to wait before another attempt: exponential, with full jitter, so that many clients spread out. */
export interface Backoff {
  /** Milliseconds that the first wait is below; each further one may be twice as long. */
  readonly base: number;
  /** Milliseconds that no wait exceeds. */
  readonly cap: number;
}

/** `attempt` counts the failures before this one, from 0. */
export function delayOf(attempt: number, { base, cap }: Backoff, random: () => number = Math.random): number {
  return random() * Math.min(cap, base * 2 ** Math.min(attempt, 30));
}
