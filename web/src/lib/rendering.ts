/** How often React is told of changes. */
import { addListener, callAll } from "./store.ts";
import type { Chat } from "./types.ts";

/**
 * Milliseconds, about a frame of a screen, between two times that React is told. What is read with `useSyncExternalStore`
 * is rendered before anything else: were it told of every frame of a burst, whatever else the page has to render (a
 * `setState` in a listener) would wait until the burst is over, and after fifty times React takes that for an endless
 * loop and throws.
 */
const PAUSE = 16;

const subscriptions = new WeakMap<Chat, Chat["subscribe"]>();

/**
 * `chat.subscribe` for what is rendered: a change is told at once, those that follow it closely once for all. What
 * somebody does is always told at once: React puts a box that they check back to what it rendered last as soon as the
 * event is over.
 */
export function renderingOf(chat: Chat): Chat["subscribe"] {
  const subscribe = subscriptions.get(chat) ?? gathered(chat.subscribe);
  subscriptions.set(chat, subscribe);
  return subscribe;
}

function gathered(subscribe: Chat["subscribe"]): Chat["subscribe"] {
  const listeners = new Set<(nothing: undefined) => void>();
  let end: (() => void) | undefined;
  let pause: ReturnType<typeof setTimeout> | undefined;
  let isChanged = false;

  function changed(): void {
    isChanged = true;
    if (pause === undefined || isActing()) tell();
  }

  function tell(): void {
    clearTimeout(pause);
    pause = undefined;
    if (!isChanged) return;
    isChanged = false;
    pause = setTimeout(tell, PAUSE);
    callAll(listeners, undefined);
  }

  return (listener) => {
    const remove = addListener(listeners, listener);
    end ??= subscribe(changed);
    return () => {
      remove();
      if (listeners.size > 0) return;
      end?.();
      end = undefined;
      clearTimeout(pause);
      pause = undefined;
      isChanged = false;
    };
  };
}

/** While a click, a key or the like is handled; React's own way to know it. */
function isActing(): boolean {
  return typeof UIEvent !== "undefined" && globalThis.event instanceof UIEvent;
}
