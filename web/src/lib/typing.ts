/** Who types: what is told to others, as seldom as possible, and what others tell, until it expires. */

type Timer = ReturnType<typeof setTimeout>;

/** The gateway forwards one renewal in this time, and forgets a typist after ten seconds without one. */
const RENEW = 3000;
/** Without a keystroke for this long, nobody types any more. */
const IDLE = 6000;
/** The gateway says when somebody stopped; this is for when that is lost. */
const EXPIRES = 12_000;

export interface OwnTyping {
  /** A keystroke. */
  start(conversationId: string): void;
  stop(conversationId: string): void;
  /** The connection has gone: others are told by the gateway. */
  forget(): void;
}

export function createOwnTyping(tell: (conversationId: string, isTyping: boolean) => void): OwnTyping {
  const active = new Map<string, { toldAt: number; idle: Timer }>();

  function stop(conversationId: string): void {
    const own = active.get(conversationId);
    if (!own) return;
    clearTimeout(own.idle);
    active.delete(conversationId);
    tell(conversationId, false);
  }

  return {
    start(conversationId) {
      const own = active.get(conversationId);
      clearTimeout(own?.idle);
      const isDue = !own || Date.now() - own.toldAt >= RENEW;
      const idle = setTimeout(() => stop(conversationId), IDLE);
      active.set(conversationId, { toldAt: isDue ? Date.now() : own.toldAt, idle });
      if (isDue) tell(conversationId, true);
    },
    stop,
    forget() {
      for (const { idle } of active.values()) clearTimeout(idle);
      active.clear();
    },
  };
}

export interface OthersTyping {
  started(conversationId: string, userId: string): void;
  /** Returns whether they were typing. */
  stopped(conversationId: string, userId: string): boolean;
  /** Nobody types: the connection has gone, or all of this has ended. */
  forget(): void;
}

/** `expired` is called for somebody who fell silent. */
export function createOthersTyping(expired: (conversationId: string, userId: string) => void): OthersTyping {
  const timers = new Map<string, Timer>();
  const keyOf = (conversationId: string, userId: string) => JSON.stringify([conversationId, userId]);

  return {
    started(conversationId, userId) {
      const key = keyOf(conversationId, userId);
      clearTimeout(timers.get(key));
      const expire = () => {
        timers.delete(key);
        expired(conversationId, userId);
      };
      timers.set(key, setTimeout(expire, EXPIRES));
    },
    stopped(conversationId, userId) {
      const key = keyOf(conversationId, userId);
      clearTimeout(timers.get(key));
      return timers.delete(key);
    },
    forget() {
      for (const timer of timers.values()) clearTimeout(timer);
      timers.clear();
    },
  };
}
