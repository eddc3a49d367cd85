/** What of the messages is in sight: how far they are read, and where the line before the new ones is. */
import { type RefObject, useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";
import type { VirtualizerHandle } from "virtua";
import { useAttention } from "../attention.ts";
import type { Row } from "../messages/rows.ts";
import { useRested } from "../parts/rested.ts";

/** Pixels of a message that may be below the edge. */
const EDGE = 24;

interface Place {
  scroller: RefObject<HTMLDivElement | null>;
  list: RefObject<VirtualizerHandle | null>;
  rows: Row[];
  /** The reader is at the end, and stays there. */
  isAtEnd: RefObject<boolean>;
}

/**
 * Calls `onSeen` with how far the messages are in sight; returns what is to be called when they are scrolled. Nobody reads
 * while `isGoing` elsewhere.
 */
export function useSeen(place: Place, isGoing: boolean, onSeen: (seq: number) => void) {
  const { scroller, list, rows, isAtEnd } = place;
  const look = useCallback(() => {
    const [element, handle] = [scroller.current, list.current];
    if (!element || !handle || isGoing) return;
    const bottom = element.scrollTop + element.clientHeight;
    const inSight = isAtEnd.current ? rows.length : lastAbove(handle, bottom) + 1;
    const last = rows.slice(0, inSight).findLast(({ message }) => message.seq !== null);
    if (last && last.message.seq !== null) onSeen(last.message.seq);
  }, [scroller, list, rows, isAtEnd, isGoing, onSeen]);

  const soon = useRested(look); // what rushes past is not read
  // At the end, a new message is seen as it comes. Elsewhere the list may be on its way to its place.
  useEffect(() => {
    if (isAtEnd.current) look();
    else soon();
  }, [look, soon, isAtEnd]);
  useAttention(useCallback((isThere: boolean) => isThere && soon(), [soon]));
  return soon;
}

/** The place of the last row that ends above the edge. */
function lastAbove(handle: VirtualizerHandle, bottom: number): number {
  const place = handle.findItemIndex(bottom);
  const end = handle.getItemOffset(place) + handle.getItemSize(place);
  return end <= bottom + EDGE ? place : place - 1;
}

interface Marker extends Place {
  /** The messages above this seq are new. */
  newAfter: number | null;
  hasOlder: boolean;
  loadOlder: () => Promise<void>;
  /** The reader is no longer to be kept at the end. */
  leave: () => void;
}

/** The way back to the line before the new messages, while that is above what is in sight. */
export function useJumpToNew(marker: Marker) {
  const { scroller, list, rows, newAfter, hasOlder, loadOlder, leave } = marker;
  const [isAbove, setAbove] = useState(false);
  const [isJumping, setJumping] = useState(false);
  const reached = useRef<number | null>(null); // the line that was in sight
  const firstNew = rows.findIndex((row) => row.startsNew);
  const firstSeq = rows[0]?.message.seq ?? null;
  // More has come than is here: the line is above all of it.
  const isFarther =
    firstNew < 0 && newAfter !== null && hasOlder && firstSeq !== null && firstSeq > newAfter + 1;

  const look = useCallback(() => {
    const [element, handle] = [scroller.current, list.current];
    if (!element || !handle || newAfter === null || reached.current === newAfter) return setAbove(false);
    const at = firstNew < 0 ? null : handle.getItemOffset(firstNew) - element.scrollTop;
    if (at !== null && at >= -EDGE && at < element.clientHeight) reached.current = newAfter;
    setAbove(reached.current !== newAfter && (isFarther || (at !== null && at < 0)));
  }, [scroller, list, firstNew, newAfter, isFarther]);

  const soon = useRested(look);
  // biome-ignore lint/correctness/useExhaustiveDependencies: whatever is looked for is another thing now
  useEffect(() => soon(), [look, soon]);

  const top = useRef({ isFarther, firstSeq });
  useLayoutEffect(() => {
    top.current = { isFarther, firstSeq };
  });
  useEffect(() => {
    if (!isJumping) return;
    if (firstNew >= 0) list.current?.scrollToIndex(firstNew, { align: "start", offset: -16 });
    if (firstNew >= 0 || !top.current.isFarther) return setJumping(false);
    let isWanted = true;
    const loadUntilThere = async () => {
      let before: number | null;
      do {
        before = top.current.firstSeq;
        await loadOlder();
        await new Promise((drawn) => setTimeout(drawn));
      } while (isWanted && top.current.isFarther && top.current.firstSeq !== before);
      setJumping(false);
    };
    loadUntilThere().catch(() => setJumping(false)); // the connection banner says why
    return () => {
      isWanted = false;
    };
  }, [isJumping, firstNew, list, loadOlder]);

  const jump = useCallback(() => {
    // Away from the end at once, where everything that comes would bring the reader back to it.
    leave();
    if (scroller.current) scroller.current.scrollTop = 0;
    setJumping(true);
  }, [leave, scroller]);
  return { isAbove, jump, onScroll: soon };
}
