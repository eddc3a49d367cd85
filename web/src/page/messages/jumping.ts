/** Going to a message that may be far from where one is, and the way on from there. */
import { type RefObject, useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";
import type { VirtualizerHandle } from "virtua";
import type { Row } from "./rows.ts";

/** A message to go to; another object for each time. */
export interface Target {
  seq: number;
}

const MARKED = 2500; // milliseconds
const AHEAD = 1500; // pixels before the end at which later messages are fetched

interface Place {
  list: RefObject<VirtualizerHandle | null>;
  rows: Row[];
  hasOlder: boolean;
  /** The reader is no longer to be kept at the end. */
  leave: () => void;
}

/** Brings the target into the middle once it is among the rows; returns its key for a moment, so that it can be marked. */
export function useTarget(
  { list, rows, hasOlder, leave }: Place,
  target: Target | null,
  onReached: (target: Target) => void,
): string | null {
  const reached = useRef<Target | null>(null);
  const [marked, setMarked] = useState<string | null>(null);

  useLayoutEffect(() => {
    if (!target || reached.current === target) return;
    const place = rows.findIndex(({ message }) => message.seq !== null && message.seq >= target.seq);
    // These may still be the rows from before, which are drawn a moment longer.
    const isEarlier = place === 0 && hasOlder && rows[0]?.message.seq !== target.seq;
    if (place < 0 || isEarlier) return;
    reached.current = target;
    leave();
    list.current?.scrollToIndex(place, { align: "center" });
    setMarked(rows[place]?.message.key ?? null);
    onReached(target);
  }, [target, rows, hasOlder, list, leave, onReached]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: the time begins anew with each target
  useEffect(() => {
    if (marked === null) return;
    const later = setTimeout(setMarked, MARKED, null);
    return () => clearTimeout(later);
  }, [marked, target]);
  return marked;
}

/** Away from the live end, later messages are fetched before the reader comes to the last ones. */
export function useNewer(
  scroller: RefObject<HTMLDivElement | null>,
  rows: Row[],
  hasNewer: boolean,
  loadNewer: () => Promise<void>,
): () => void {
  const look = useCallback(() => {
    const element = scroller.current;
    if (!element || !hasNewer) return;
    if (element.scrollHeight - element.scrollTop - element.clientHeight > AHEAD) return;
    loadNewer().catch(() => undefined); // the connection banner says why; the next scroll tries again
  }, [scroller, hasNewer, loadNewer]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: after each change of the rows
  useEffect(() => look(), [rows, look]);
  return look;
}
