/** Where the message list stands, and why it moves: four reasons, each in a hook of its own. */
import { type RefObject, useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";
import type { VirtualizerHandle } from "virtua";
import { useRested } from "../parts/rested.ts";
import type { Row } from "./rows.ts";

const AT_END = 48; // pixels from the end that still count as there
const AHEAD = 1500; // pixels before the beginning at which earlier messages are fetched
const SETTLING = 2500; // milliseconds in which the marker of new messages may still turn up

type Scroller = RefObject<HTMLDivElement | null>;

export function isNearEnd({ scrollHeight, scrollTop, clientHeight }: HTMLElement): boolean {
  return scrollHeight - scrollTop - clientHeight < AT_END;
}

/** Whether these rows came to be by putting some above the ones before. */
export function usePrepended(rows: Row[]): boolean {
  const first = rows[0]?.message.key;
  const before = useRef(first);
  const isPrepended = before.current !== first && rows.some((row) => row.message.key === before.current);
  useLayoutEffect(() => {
    before.current = first;
  }, [first]);
  return isPrepended;
}

/**
 * Whoever is at the end stays there; whoever is not is told how many came meanwhile. The end of an excerpt, which
 * `hasNewer`, is none.
 */
export function useEnd(scroller: Scroller, rows: Row[], hasNewer: boolean, said: number) {
  const isAtEnd = useRef(true);
  const isOnWay = useRef(false); // to a row: until it rests there, the end may only seem near, with rows not yet measured
  const lastTop = useRef(0);
  const [leftAt, setLeftAt] = useState<string | null>(null); // the last message in sight when the end was left
  const last = rows.at(-1);
  const lastKey = last?.message.key ?? null;

  const toEnd = useCallback(() => {
    const element = scroller.current;
    if (!element) return;
    isAtEnd.current = true;
    isOnWay.current = false;
    setLeftAt(null);
    element.scrollTop = element.scrollHeight;
    lastTop.current = element.scrollTop;
  }, [scroller]);

  const arrive = useRested(() => {
    const element = scroller.current;
    if (!element || !isOnWay.current) return;
    isOnWay.current = false;
    isAtEnd.current = isNearEnd(element) && !hasNewer;
    setLeftAt(isAtEnd.current ? null : lastKey);
  });
  const leave = useCallback(() => {
    isAtEnd.current = false;
    isOnWay.current = true;
    arrive();
  }, [arrive]);

  const onScroll = useCallback(() => {
    const element = scroller.current;
    if (!element) return;
    // Rows that turn out higher than thought move the end away: only going up means to leave it.
    const isLeaving = element.scrollTop < lastTop.current - 1;
    lastTop.current = element.scrollTop;
    if (isOnWay.current) return arrive();
    if (isNearEnd(element) && !hasNewer) {
      isAtEnd.current = true;
      setLeftAt(null);
    } else if (isAtEnd.current && isLeaving) {
      isAtEnd.current = false;
      setLeftAt(lastKey);
    }
  }, [scroller, lastKey, hasNewer, arrive]);

  // What one says oneself is always looked at. It may be stored before it is drawn, so the rows do not tell.
  useLayoutEffect(() => {
    if (said > 0) toEnd();
  }, [said, toEnd]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: the rows are the reason
  useLayoutEffect(() => {
    if (isAtEnd.current) toEnd();
  }, [rows]);

  useEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const stay = new ResizeObserver(() => isAtEnd.current && toEnd());
    stay.observe(element);
    for (const child of element.children) stay.observe(child);
    return () => stay.disconnect();
  }, [scroller, toEnd]);

  // Come to the live end from an excerpt, what is there already is not new.
  // biome-ignore lint/correctness/useExhaustiveDependencies: only as the two become one
  useEffect(() => {
    if (!hasNewer && !isAtEnd.current && !isOnWay.current) setLeftAt(lastKey);
  }, [hasNewer]);

  const place = leftAt === null || hasNewer ? -1 : rows.findIndex((row) => row.message.key === leftAt);
  return {
    isAtEnd,
    toEnd,
    leave,
    onScroll,
    isAway: leftAt !== null,
    newBelow: place < 0 ? 0 : rows.length - 1 - place,
  };
}

/** One starts at the first message that is new, where there is one, unless one came for another and got there. */
export function useStartAtNew(
  scroller: Scroller,
  list: RefObject<VirtualizerHandle | null>,
  rows: Row[],
  leave: () => void,
  { isGoing, isElsewhere }: { isGoing: boolean; isElsewhere: boolean },
) {
  const isSettled = useRef(false);
  const firstNew = rows.findIndex((row) => row.startsNew);

  useEffect(() => {
    const element = scroller.current;
    if (!element || isGoing) return;
    const settle = () => {
      isSettled.current = true;
    };
    const later = setTimeout(settle, SETTLING);
    const own = ["wheel", "touchmove", "keydown", "pointerdown"] as const;
    for (const kind of own) element.addEventListener(kind, settle, { passive: true });
    return () => {
      clearTimeout(later);
      for (const kind of own) element.removeEventListener(kind, settle);
    };
  }, [scroller, isGoing]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: only when the marker turns up, or the way ends
  useLayoutEffect(() => {
    if (isElsewhere) isSettled.current = true;
    if (isSettled.current || isGoing || firstNew < 0) return;
    isSettled.current = true;
    // Where all of them are in sight at the end, this leads there.
    leave();
    list.current?.scrollToIndex(firstNew, { align: "start", offset: -16 });
  }, [firstNew >= 0, isGoing, isElsewhere]);
}

/** Earlier messages are fetched before the reader comes to the beginning. */
export function useOlder(scroller: Scroller, rows: Row[], hasOlder: boolean, loadOlder: () => Promise<void>) {
  const isBusy = useRef(false);
  const [isLoading, setLoading] = useState(false);

  const look = useCallback(() => {
    const element = scroller.current;
    if (!element || !hasOlder || isBusy.current || element.scrollTop > AHEAD) return;
    isBusy.current = true;
    setLoading(true);
    loadOlder()
      .catch(() => undefined) // the connection banner says why; the next scroll tries again
      .finally(() => {
        isBusy.current = false;
        setLoading(false);
      });
  }, [scroller, hasOlder, loadOlder]);

  // A first page may be too short to be scrolled.
  // biome-ignore lint/correctness/useExhaustiveDependencies: after each change of the rows
  useEffect(() => look(), [rows, look]);
  return { look, isLoading };
}
