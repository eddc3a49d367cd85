/** What was found: asked for once the person rests, and further as they scroll. */
import { useCallback, useEffect, useState } from "react";
import { ChatError, type Found, type Page, type Wanted } from "../../lib/index.ts";
import { reasonOf } from "../texts/reason.ts";

export type Search = (wanted: Wanted, cursor: string | null) => Promise<Page<Found>>;

interface Answer extends Page<Found> {
  /** What this answers; another object than what is wanted now, while that is on its way. */
  to: Wanted | null;
  failure: string | null;
}

const PAUSE = 300;
const NOTHING: Answer = { to: null, items: [], nextCursor: null, failure: null };

/** `wanted` is another object whenever something else is wanted; null for nothing. */
export function useFound(search: Search, wanted: Wanted | null) {
  const [answer, setAnswer] = useState(NOTHING);
  const [isLoadingMore, setLoadingMore] = useState(false);

  useEffect(() => {
    if (!wanted) return setAnswer(NOTHING);
    let timer = setTimeout(ask, PAUSE);
    let isWanted = true;
    function ask(): void {
      if (wanted) search(wanted, null).then(answered, failed);
    }
    function answered(page: Page<Found>): void {
      if (isWanted) setAnswer({ ...page, to: wanted, failure: null });
    }
    function failed(error: unknown): void {
      const wait = laterBy(error);
      if (!isWanted) return;
      if (wait === null) setAnswer({ ...NOTHING, to: wanted, failure: reasonOf(error) });
      else timer = setTimeout(ask, wait);
    }
    return () => {
      isWanted = false;
      clearTimeout(timer);
    };
  }, [search, wanted]);

  const { to, nextCursor } = answer;
  const more = useCallback(() => {
    if (!to || nextCursor === null || isLoadingMore) return;
    setLoadingMore(true);
    search(to, nextCursor)
      .then(
        (page) =>
          setAnswer((now) =>
            now.to === to ? { ...now, ...page, items: [...now.items, ...page.items], failure: null } : now,
          ),
        (error) => setAnswer((now) => (now.to === to ? { ...now, failure: reasonOf(error) } : now)),
      )
      .finally(() => setLoadingMore(false));
  }, [search, to, nextCursor, isLoadingMore]);

  const isSearching = wanted !== null && to !== wanted;
  return { ...answer, isSearching, isLoadingMore, more };
}

/** Who types fast is asked to wait a moment, and need not know of it. */
function laterBy(error: unknown): number | null {
  return error instanceof ChatError && error.code === "RATE_LIMITED" ? (error.retryAfterMs ?? 1000) : null;
}

/** Parts of a snippet, each found or not. */
export function partsOf(
  snippet: string,
  highlights: Found["highlights"],
): { text: string; begin: number; isFound: boolean }[] {
  const parts: { text: string; begin: number; isFound: boolean }[] = [];
  let at = 0;
  const put = (end: number, isFound: boolean) => {
    if (end > at) parts.push({ text: snippet.slice(at, end), begin: at, isFound });
    at = Math.max(at, end);
  };
  for (const [begin, end] of highlights) {
    put(begin, false);
    put(end, true);
  }
  put(snippet.length, false);
  return parts;
}
