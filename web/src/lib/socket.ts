/**
 * A connection that stays: opens, authenticates, notices when it has died, and comes back. It knows nothing of chats.
 *
 * A socket that is given up is dropped, never awaited: a frozen or half-open one may fire its `close` much later or never.
 */
import { type Backoff, delayOf } from "./backoff.ts";
import { ABNORMAL, NORMAL, verdictOn } from "./closeCodes.ts";
import { failureOf } from "./errors.ts";
import type { Authenticated, ClientFrame, ServerFrame } from "./frames.ts";
import { browserSurroundings, type Surroundings } from "./surroundings.ts";
import type { Tokens } from "./tokens.ts";
import type { Connection, Failure, StopReason } from "./types.ts";

/** All in milliseconds. */
export interface Timing {
  reconnect: Backoff;
  /** From opening a socket to being authenticated. */
  connectTimeout: number;
  /** Between two pings; the gateway may ask for a shorter time. */
  pingInterval: number;
  /** From a ping to the first sign of life. */
  pongTimeout: number;
  /** The same after the browser has said that the network is gone. */
  doubtTimeout: number;
  /** A connection that lasted this long was a good one: after it, waiting starts over from the shortest time. */
  stableAfter: number;
  /** Between two attempts while the browser says that there is no network. It may be wrong: a gateway can be on this host. */
  offlineRetry: number;
  /** Before a token expires, a new one is fetched this early (or a fifth of its time, if that is less). */
  refreshEarly: number;
}

export const TIMING: Timing = {
  reconnect: { base: 1000, cap: 30_000 },
  connectTimeout: 10_000,
  pingInterval: 20_000,
  pongTimeout: 6000,
  doubtTimeout: 1500,
  stableAfter: 5000,
  offlineRetry: 30_000,
  refreshEarly: 60_000,
};

export interface SocketOptions {
  url: string;
  tokens: Tokens;
  /** What pings carry: the last seq that is held of each conversation. */
  heads?: () => Record<string, number>;
  /** And the last change that is known of each. */
  changes?: () => Record<string, number>;
  onFrame: (frame: ServerFrame) => void;
  onConnection: (connection: Connection) => void;
  timing?: Partial<Timing>;
  random?: () => number;
  surroundings?: Surroundings;
}

export interface Socket {
  readonly connection: Connection;
  connect(): void;
  disconnect(reason?: StopReason): void;
  /** Hands a frame to the connection; false when there is none, or not yet. */
  send(frame: ClientFrame): boolean;
  /** Make sure now that the connection lives. */
  check(): void;
}

type Timer = ReturnType<typeof setTimeout>;
/** Between two tokens, when `getToken` gives one again that is about to end. */
const SHORTEST_REFRESH = 1000;
/** Longer waits overflow in a browser, and fire at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

export function createSocket(options: SocketOptions): Socket {
  const timing = { ...TIMING, ...options.timing };
  const surroundings = options.surroundings ?? browserSurroundings();
  let connection: Connection = { status: "stopped", retryAt: null, reason: null, wasConnected: false };
  let unwatch: (() => void) | null = null;
  let socket: WebSocket | null = null;
  let retry: Timer | undefined; // the next attempt
  let deadline: Timer | undefined; // of opening and authenticating, then of a pong
  let beat: Timer | undefined; // the next ping
  let refresh: Timer | undefined; // the next token
  let generation = 0; // an answer of `getToken` counts only for the attempt that asked
  let failures = 0; // since the last good connection
  let connectedAt = 0;
  let refused: Failure | null = null; // what `auth_error` said on this socket
  let refusedBefore = false; // the token of this attempt replaces one that had expired
  let awaiting: number | null = null; // until when a ping has for the first sign of life

  function become(change: Partial<Connection>): void {
    connection = { ...connection, ...change };
    options.onConnection(connection);
  }

  // ------------------------------------------------------------------------------------------------- attempts

  async function attempt(newToken: boolean): Promise<void> {
    forget();
    const mine = ++generation;
    refusedBefore = newToken;
    become({ status: "connecting", retryAt: null });
    try {
      const token = await options.tokens.fresh({ refused: newToken });
      if (mine === generation) open(token);
    } catch (error) {
      if (mine !== generation) return;
      const failure = failureOf(error);
      const reason = { code: ABNORMAL, reason: "", failure };
      if (failure.retryable) wait(reason, newToken);
      else stop(reason);
    }
  }

  function open(token: string): void {
    const opened = new WebSocket(options.url);
    socket = opened;
    refused = null;
    deadline = setTimeout(() => lost(ABNORMAL, "no answer in time"), timing.connectTimeout);
    opened.onopen = () => opened.send(JSON.stringify({ type: "authenticate", token } satisfies ClientFrame));
    opened.onmessage = (event) => receive(String(event.data));
    opened.onclose = (event) => lost(event.code, event.reason);
    opened.onerror = () => {}; // `close` follows, and says more
  }

  /** The connection has ended, or is as good as ended. */
  function lost(code: number, reason: string): void {
    const lasted = connectedAt ? Date.now() - connectedAt : 0;
    const verdict = verdictOn(code, reason);
    const why: StopReason = { code, reason, failure: refused };
    // A token that was too old is worth one more attempt with another one, although the gateway has closed for good.
    const isStale = refused?.code === "TOKEN_EXPIRED" && !refusedBefore;
    forget();
    if (lasted >= timing.stableAfter) failures = 0;
    if (isStale || verdict.newToken) void attempt(true);
    else if (verdict.reconnect) wait(why, false, verdict.afterMs);
    else stop(why);
  }

  function wait(reason: StopReason, newToken: boolean, afterMs: number | null = null): void {
    forget();
    const isOffline = !surroundings.isOnline();
    const delay = afterMs ?? (isOffline ? timing.offlineRetry : jittered());
    retry = setTimeout(() => void attempt(newToken), delay);
    become({
      status: isOffline ? "offline" : "waiting",
      retryAt: isOffline ? null : Date.now() + delay,
      reason,
    });
  }

  const jittered = () => delayOf(failures++, timing.reconnect, options.random);

  function stop(reason: StopReason | null): void {
    forget();
    generation++;
    unwatch?.();
    unwatch = null;
    become({ status: "stopped", retryAt: null, reason });
  }

  /** Drop the socket and everything that waits. */
  function forget(code?: number): void {
    for (const timer of [retry, deadline, beat, refresh]) clearTimeout(timer);
    connectedAt = 0;
    awaiting = null;
    if (!socket) return;
    const dropped = socket;
    socket = null;
    dropped.onopen = dropped.onmessage = dropped.onclose = null;
    dropped.close(code);
  }

  // --------------------------------------------------------------------------------------------------- frames

  function receive(text: string): void {
    alive();
    const frame: ServerFrame = JSON.parse(text);
    if (frame.type === "authenticated") authenticated(frame);
    if (frame.type === "auth_error")
      refused = { code: frame.code, message: frame.error, retryable: frame.code === "UNAVAILABLE" };
    options.onFrame(frame);
  }

  function authenticated(frame: Authenticated): void {
    refusedBefore = false;
    scheduleRefresh(frame);
    if (connection.status === "connected") return; // a token was renewed in place
    clearTimeout(deadline);
    connectedAt = Date.now();
    scheduleBeat(Math.min(timing.pingInterval, frame.heartbeatIntervalMs));
    become({ status: "connected", retryAt: null, reason: null, wasConnected: true });
  }

  function send(frame: ClientFrame): boolean {
    if (connection.status !== "connected" || socket?.readyState !== WebSocket.OPEN) return false;
    socket.send(JSON.stringify(frame));
    return true;
  }

  // ------------------------------------------------------------------------------------------------ heartbeat

  function scheduleBeat(interval: number): void {
    beat = setTimeout(() => {
      ping(timing.pongTimeout);
      scheduleBeat(interval);
    }, interval);
  }

  function ping(timeout: number): void {
    const heads = options.heads?.() ?? {};
    const changes = options.changes?.() ?? {};
    const sent = send({
      type: "ping",
      ...(Object.keys(heads).length > 0 && { heads }),
      ...(Object.keys(changes).length > 0 && { changes }),
    });
    if (!sent) return;
    const until = Date.now() + timeout;
    // A further ping does not prolong the time that the first one has.
    if (awaiting !== null && awaiting <= until) return;
    awaiting = until;
    clearTimeout(deadline);
    deadline = setTimeout(silent, timeout);
  }

  function silent(): void {
    const isLate = awaiting !== null && Date.now() > awaiting + timing.pongTimeout;
    awaiting = null;
    // This machine slept: what has arrived meanwhile may be read after this timer. One more chance.
    if (isLate) ping(timing.pongTimeout);
    else lost(ABNORMAL, "no sign of life");
  }

  function alive(): void {
    if (awaiting === null) return;
    awaiting = null;
    clearTimeout(deadline);
  }

  // ---------------------------------------------------------------------------------------------------- token

  function scheduleRefresh(frame: Authenticated): void {
    clearTimeout(refresh);
    if (frame.expiresAt === null) return;
    // By the gateway's clock at both ends: this one may be wrong.
    const left = Date.parse(frame.expiresAt) - Date.parse(frame.timestamp);
    const delay = Math.max(left - Math.min(timing.refreshEarly, left / 5), SHORTEST_REFRESH);
    refresh = setTimeout(() => void renew(socket), Math.min(delay, LONGEST_TIMER));
  }

  async function renew(whose: WebSocket | null): Promise<void> {
    try {
      const token = await options.tokens.fresh({ refused: false });
      if (whose === socket) send({ type: "authenticate", token });
    } catch {
      // Not yet: the old one still holds. If it ends first, the gateway closes with 4002 and it is asked for again.
      if (whose === socket) refresh = setTimeout(() => void renew(whose), timing.refreshEarly / 6);
    }
  }

  // ------------------------------------------------------------------------------------------------ the page

  function told(what: "online" | "offline" | "visible"): void {
    const isWaiting = connection.status === "waiting" || connection.status === "offline";
    if (what === "offline") ping(timing.doubtTimeout);
    else if (isWaiting && (what === "online" || surroundings.isOnline())) void attempt(false);
    else check();
  }

  function check(): void {
    if (awaiting === null) ping(timing.pongTimeout);
  }

  return {
    get connection() {
      return connection;
    },
    connect() {
      if (connection.status === "connected" || connection.status === "connecting") return check();
      unwatch ??= surroundings.watch(told);
      void attempt(false);
    },
    disconnect(reason) {
      forget(NORMAL);
      stop(reason ?? null);
    },
    send,
    check,
  };
}
