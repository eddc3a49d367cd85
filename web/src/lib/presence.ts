/** Who is here: of the people that components name, and how this person wants to be seen. */
import { type Backoff, delayOf } from "./backoff.ts";
import type { Context } from "./context.ts";
import { failureOf, isRetryable } from "./errors.ts";
import type { ConversationUpdated, Error as ErrorFrame, Presence } from "./frames.ts";
import type { Chosen } from "./rest.ts";
import { withMyPresence, withPresence } from "./state.ts";
import type { MyPresence, PersonPresence } from "./types.ts";

/** People in one frame, as in `contracts/limits.py`. */
const WATCHED = 500;
/** Components come and go together, and so do answers. */
const TOGETHER = 100;
/** The gateway takes two of these frames a second, for all of this person's devices together. */
const WATCH_INTERVAL = 1000;
const RETRY: Backoff = { base: 2000, cap: 60_000 };

type Timer = ReturnType<typeof setTimeout>;

export interface People {
  /** Be told of these people until the returned function is called. */
  watch(userIds: readonly string[]): () => void;
  set(status: MyPresence): void;
  /** Nobody touches this device any more, or somebody does again. */
  idle(isIdle: boolean): void;
  told(frame: Presence): void;
  /** Returns whether this answers one of these frames. */
  refused(frame: ErrorFrame): boolean;
  /** Somebody who is watched in vain may share a conversation with this person now. */
  met(frame: ConversationUpdated): void;
  connected(): void;
  disconnected(): void;
  dispose(): void;
}

export function createPeople(context: Context): People {
  const { store, rest } = context;
  const watched = new Map<string, number>(); // how many components name each, those named last at the end
  let toldNames: string | null = null; // what this connection was told to watch
  let toldAt = 0;
  let watching: Timer | undefined;
  let news: Record<string, PersonPresence> = {};
  let showing: Timer | undefined;

  let chosen: Chosen | null = null; // on all devices, as far as is known
  let wanted: Chosen | null = null; // what was chosen here, until the gateway has stored it
  let isResting = false; // away by choice, which is about this device alone
  let isIdle = false;
  let isToldAway = false;
  const asked = new Map<string, MyPresence>(); // by `requestId`
  let again: Timer | undefined;
  let failures = 0;
  let choices = 0; // an answer that was asked for before the last one is too old
  let isUsed = false; // a page that shows nobody asks for nothing
  let isKnown = false; // what is chosen, since this connection began
  let requests = 0;

  const myId = () => store.get().me?.userId ?? null;

  // ---------------------------------------------------------------------------------------------------- others

  function watch(userIds: readonly string[]): () => void {
    const named = new Set(userIds);
    for (const id of named) {
      const count = watched.get(id) ?? 0;
      watched.delete(id);
      watched.set(id, count + 1);
    }
    if (!isUsed) {
      isUsed = true;
      void loadChosen();
    }
    soon();
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      for (const id of named) {
        const count = watched.get(id) ?? 0;
        if (count > 1) watched.set(id, count - 1);
        else watched.delete(id);
      }
      soon();
    };
  }

  function soon(wait = TOGETHER): void {
    if (!context.isConnected()) return;
    watching ??= setTimeout(tellNames, Math.max(wait, toldAt + WATCH_INTERVAL - Date.now()));
  }

  function tellNames(): void {
    watching = undefined;
    const userIds = [...watched.keys()].filter((id) => id !== myId()).slice(-WATCHED);
    const names = JSON.stringify(userIds.toSorted());
    // A connection that named nobody yet is told of those in its small conversations: that may be enough for a page.
    if (names === toldNames || (toldNames === null && userIds.length === 0)) return;
    if (!context.send({ type: "watch_presence", userIds, requestId: WATCH })) return;
    toldNames = names;
    toldAt = Date.now();
    const current = new Set(userIds);
    const { presence } = store.get();
    const left = Object.entries(presence).filter(([id]) => current.has(id));
    if (left.length < Object.keys(presence).length)
      store.set(withPresence(store.get(), Object.fromEntries(left)));
  }

  function show(): void {
    showing = undefined;
    const current = Object.entries(news).filter(([id]) => toldNames === null || watched.has(id));
    news = {};
    const { presence } = store.get();
    store.set(withPresence(store.get(), { ...presence, ...Object.fromEntries(current) }));
  }

  // --------------------------------------------------------------------------------------------------- oneself

  function publish(): void {
    const shown = wanted ?? chosen;
    store.set(withMyPresence(store.get(), isResting && (shown ?? "online") === "online" ? "away" : shown));
  }

  /** Busy and invisible are about the person, away about the device: it is told only where it would be seen. */
  function tellMine(): void {
    if (!context.isConnected()) return;
    const status = wanted ?? chosen ?? "online";
    if (wanted !== null && ![...asked.values()].includes(wanted)) ask(wanted);
    const isAway = (isResting || isIdle) && status === "online";
    if (isAway && !isToldAway) ask("away");
    else if (!isResting && !isIdle && isToldAway) ask(status);
  }

  function ask(status: MyPresence): void {
    const requestId = `presence-${++requests}`;
    if (!context.send({ type: "set_presence", status, requestId })) return;
    asked.set(requestId, status);
    isToldAway = status === "away";
  }

  function set(status: MyPresence): void {
    isUsed = true;
    isResting = status === "away";
    const lasting = status === "away" ? "online" : status;
    wanted = lasting === chosen ? null : lasting;
    choices++;
    publish();
    tellMine();
  }

  function toldMine({ requestId, status }: Presence): void {
    const answered = asked.get(requestId ?? "");
    asked.delete(requestId ?? "");
    isKnown = true;
    failures = 0;
    choices++;
    if (answered !== undefined && answered !== "away") {
      chosen = answered;
      if (wanted === answered) wanted = null;
    } else {
      // As others see this person, who is connected: nobody is seen as offline then who does not want it.
      const before = chosen;
      chosen = status === "busy" ? "busy" : status === "offline" ? "invisible" : "online";
      // Chosen on another device, for this one as well.
      if (answered === undefined && chosen !== before && chosen !== "online") isResting = false;
    }
    publish();
    tellMine();
  }

  async function loadChosen(): Promise<void> {
    if (!context.isConnected()) return;
    const before = choices;
    try {
      const found = await rest.presence();
      if (before !== choices) return;
      isKnown = true;
      chosen = found.chosen;
      if (wanted === chosen) wanted = null;
      publish();
      tellMine();
    } catch (error) {
      const { retryable, retryAfterMs } = failureOf(error);
      if (retryable && context.isConnected()) later(retryAfterMs);
    }
  }

  /** Once more, of all this, what has not been told or learnt. */
  function later(wait = delayOf(failures++, RETRY)): void {
    again ??= setTimeout(() => {
      again = undefined;
      tellMine();
      soon();
      if (isUsed && !isKnown) void loadChosen();
    }, wait);
  }

  return {
    watch,
    set,
    idle(is) {
      isIdle = is;
      tellMine();
    },
    told(frame) {
      if (frame.userId === myId()) return toldMine(frame);
      news[frame.userId] = { status: frame.status, lastSeenAt: frame.lastSeenAt ?? null };
      showing ??= setTimeout(show, TOGETHER);
    },
    refused({ requestId = "", code, retryAfterMs }) {
      const status = asked.get(requestId);
      if (requestId !== WATCH && status === undefined) return false;
      asked.delete(requestId);
      if (isRetryable(code)) {
        if (requestId === WATCH) toldNames = null;
        else isToldAway = status !== "away"; // it is as it was before
        later(retryAfterMs);
      } else if (status === wanted) {
        wanted = null;
        publish();
      }
      return true;
    },
    met({ updateType, userIds = [] }) {
      if (updateType !== "created" && updateType !== "member_added") return;
      const { presence } = store.get();
      const concerns = userIds.includes(myId() ?? "") ? [...watched.keys()] : userIds;
      if (!concerns.some((id) => watched.has(id) && !(id in presence))) return;
      toldNames = toldNames === null ? null : "";
      soon();
    },
    connected() {
      failures = 0;
      soon();
      if (isUsed) void loadChosen();
      tellMine();
    },
    disconnected() {
      for (const timer of [watching, showing, again]) clearTimeout(timer);
      watching = showing = again = undefined;
      toldNames = null;
      toldAt = 0;
      news = {};
      asked.clear();
      isToldAway = isKnown = false;
      store.set(withPresence(store.get(), {})); // nothing is known of anybody now
    },
    dispose() {
      for (const timer of [watching, showing, again]) clearTimeout(timer);
    },
  };
}

const WATCH = "watch-presence";
