import { Search, SquarePen, X } from "lucide-react";
import { type KeyboardEvent, type ReactNode, useEffect, useRef, useState } from "react";
import { Button, IconButton } from "../parts/buttons.tsx";
import { texts } from "../texts/index.ts";
import { ConversationItem, type Listed } from "./ConversationItem.tsx";
import { foldedForSearch } from "./names.ts";

const words = texts.conversations;

interface Props {
  items: Listed[];
  /** What was begun and not sent, by conversation. */
  drafts: Readonly<Record<string, { draft: string }>>;
  currentId: string | null;
  /** The first of them have come. */
  isLoaded: boolean;
  isLoading: boolean;
  hasMore: boolean;
  onMore: () => void;
  onNew: () => void;
  /** The person's own corner, below the list. */
  children: ReactNode;
}

/** The conversations, newest first, with a search and the way to a new one. */
export function ConversationList(props: Props) {
  const { items, drafts, currentId, isLoaded, hasMore, onMore, onNew, children } = props;
  const [query, setQuery] = useState("");
  const list = useRef<HTMLUListElement>(null);
  const wanted = foldedForSearch(query);
  const more = useMore(props, wanted !== "");
  const shown = wanted ? items.filter((item) => foldedForSearch(item.title).includes(wanted)) : items;

  return (
    <nav aria-label={words.title} className="flex h-full min-h-0 flex-col">
      <header className="flex min-h-16 items-center justify-between gap-2 pr-3 pl-5">
        <h1 className="font-display text-[1.375rem]">{words.title}</h1>
        <IconButton icon={SquarePen} label={words.new} onClick={onNew} className="text-leaf" />
      </header>
      <div className="px-3 pb-2">
        <label className="flex items-center gap-2.5 rounded-full border border-line bg-surface pr-1 pl-3.5 focus-within:border-line-strong focus-within:outline-2 focus-within:outline-leaf">
          <Search aria-hidden="true" className="size-4.5 shrink-0 text-ink-soft" />
          <input
            type="text"
            aria-label={words.search}
            placeholder={words.search}
            value={query}
            onChange={(event) => setQuery(event.target.value)}
            onKeyDown={(event) => {
              if (event.key === "Escape") setQuery("");
              if (event.key === "ArrowDown") step(list.current, event);
            }}
            className="min-h-10 min-w-0 flex-1 bg-transparent text-[0.9375rem] outline-none"
          />
          {query && (
            <IconButton icon={X} label={words.clearSearch} onClick={() => setQuery("")} className="size-8!" />
          )}
        </label>
      </div>
      <div className="min-h-0 flex-1 overflow-y-auto px-2 pb-2">
        <ul
          ref={list}
          onKeyDown={(event) => step(list.current, event)}
          className="grid grid-cols-[minmax(0,1fr)] gap-0.5"
        >
          {shown.map((item) => (
            <li
              key={item.id}
              className="min-w-0 [contain-intrinsic-size:auto_3.75rem] [content-visibility:auto]"
            >
              <ConversationItem
                item={item}
                draft={drafts[item.id]?.draft ?? ""}
                isCurrent={item.id === currentId}
              />
            </li>
          ))}
        </ul>
        {wanted && shown.length === 0 && !hasMore && (
          <p role="status" className="px-4 py-8 text-center text-ink-soft [overflow-wrap:anywhere]">
            {words.noMatch(query.trim())}
          </p>
        )}
        {!wanted && items.length === 0 && isLoaded && <NoConversation onNew={onNew} />}
        {!wanted && hasMore && (
          <Button ref={more} className="mt-2 w-full" onClick={onMore}>
            {words.loadMore}
          </Button>
        )}
      </div>
      {children}
    </nav>
  );
}

/** The next conversations come when the end of the list is in sight; all of them, while one searches. */
function useMore({ hasMore, isLoading, onMore }: Props, isSearching: boolean) {
  const more = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (!hasMore || isLoading) return;
    if (isSearching) return onMore();
    const seeing = new IntersectionObserver(([entry]) => entry?.isIntersecting && onMore());
    if (more.current) seeing.observe(more.current);
    return () => seeing.disconnect();
  }, [hasMore, isLoading, isSearching, onMore]);
  return more;
}

function NoConversation({ onNew }: { onNew: () => void }) {
  return (
    <div className="grid justify-items-center gap-2 px-6 py-12 text-center">
      <p className="font-semibold">{words.empty}</p>
      <p className="text-ink-soft text-sm">{words.emptyHint}</p>
      <Button look="primary" className="mt-2" onClick={onNew}>
        {words.new}
      </Button>
    </div>
  );
}

/** The arrows, Home and End go from link to link. */
function step(list: HTMLElement | null, event: KeyboardEvent): void {
  const links: Element[] = [...(list?.querySelectorAll("a") ?? [])];
  const at = document.activeElement ? links.indexOf(document.activeElement) : -1;
  const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: links.length - 1 }[event.key];
  const link = next === undefined ? null : links[next];
  if (!(link instanceof HTMLElement)) return;
  event.preventDefault();
  link.focus();
}
