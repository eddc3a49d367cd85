/** Where the new messages begin, for somebody who was not there. */
import { useEffect, useState } from "react";
import { useIsAttentive } from "../attention.ts";

interface Read {
  lastSeq: number;
  lastReadSeq: number;
  unreadCount: number;
}

/**
 * The last seq that was read when the person came (back), or the connection did; null where nothing new had come until
 * then: what is said before their eyes is not marked.
 */
export function useNewAfter({ lastSeq, lastReadSeq, unreadCount }: Read, isLive: boolean): number | null {
  const isThere = useIsAttentive() && isLive;
  const [newAfter, setNewAfter] = useState(unreadCount > 0 || !isLive ? lastReadSeq : null);
  // Meanwhile it may be read on another device.
  useEffect(() => {
    if (!isThere) setNewAfter(lastReadSeq);
  }, [isThere, lastReadSeq]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: only when the person comes back
  useEffect(() => {
    if (isThere) setNewAfter((after) => (after !== null && lastSeq <= after ? null : after));
  }, [isThere]);
  return newAfter;
}
