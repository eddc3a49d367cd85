import { Archive, ArrowLeft, Bell, Hash, Search, SquarePen, TextSearch, X } from "lucide-react";
import { type KeyboardEvent, type ReactNode, useEffect, useRef, useState } from "react";
import type { Room } from "../../lib/index.ts";
import { Button, IconButton } from "../parts/buttons.tsx";
import { isComposed } from "../parts/keys.ts";
import { texts } from "../texts/index.ts";
import { ConversationItem, type Listed } from "./ConversationItem.tsx";
import { foldedForSearch } from "./names.ts";

const words = texts.conversations;

interface Props {
  items: Listed[];
  /** What was begun, and what could not be sent, by conversation. */
  drafts: Readonly<Record<string, Pick<Room, "draft" | "outgoing">>>;
  currentId: string | null;
  /** The first of them have come. */
  isLoaded: boolean;
  isLoading: boolean;
  /** The last call failed; it is over when another one did not. */
  hasFailed: boolean;
  hasMore: boolean;
  onMore: () => void;
  onNew: () => void;
  /** To search in what was said. */
  onSearch: () => void;
  /** To find public channels. */
  onChannels: () => void;
  /** To see what one was told of. */
  onNotifications: () => void;
  unreadNotifications: number;
  /** What is archived is about to be looked at. */
  onArchive: () => void;
  hasMoreArchived: boolean;
  /** The person's own corner, below the list. */
  children: ReactNode;
}

/** The conversations, newest first, with a search and the way to a new one. */
export function ConversationList(props: Props) {
  const {
    items,
    drafts,
    currentId,
    isLoaded,
    hasMore,
    onMore,
    onNew,
    onSearch,
    onChannels,
    onNotifications,
    unreadNotifications,
    onArchive,
    hasMoreArchived,
    children,
  } = props;
  const [query, setQuery] = useState("");
  const [isArchive, setArchive] = useState(false);
  const list = useRef<HTMLUListElement>(null);
  const wanted = foldedForSearch(query);
  const more = useMore(props, wanted !== "");
  const shown = wanted
    ? items.filter((item) => foldedForSearch(item.title).includes(wanted))
    : items.filter((item) => item.isArchived === isArchive);

  return (
    <nav aria-label={words.title} className="flex h-full min-h-0 flex-col">
      <header className="flex min-h-16 items-center justify-between gap-2 pr-3 pl-4">
        <h1 className="min-w-0 truncate font-display text-[1.125rem]">{words.title}</h1>
        <span className="flex shrink-0">
          <IconButton
            icon={Bell}
            className="size-9!"
            label={
              unreadNotifications > 0
                ? texts.notifications.unread(unreadNotifications)
                : texts.notifications.title
            }
            onClick={onNotifications}
          >
            {unreadNotifications > 0 && (
              <span
                aria-hidden="true"
                className="absolute top-0.5 right-0 grid h-4.5 min-w-4.5 place-items-center rounded-full bg-earth px-1 font-bold text-[0.625rem] text-on-earth leading-none"
              >
                {unreadNotifications > 99 ? "99+" : unreadNotifications}
              </span>
            )}
          </IconButton>
          <IconButton icon={Hash} label={texts.channels.title} onClick={onChannels} className="size-9!" />
          <IconButton icon={TextSearch} label={texts.search.title} onClick={onSearch} className="size-9!" />
          <IconButton icon={SquarePen} label={words.new} onClick={onNew} className="size-9! text-leaf" />
        </span>
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
              if (isComposed(event)) return;
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
        {isArchive && !wanted && (
          <Button className="mb-2 w-full" onClick={() => setArchive(false)}>
            <ArrowLeft aria-hidden="true" className="size-4" />
            {texts.menuOfRoom.backToList}
          </Button>
        )}
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
                unsent={unsentIn(drafts[item.id])}
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
        {!wanted && !isArchive && shown.length === 0 && isLoaded && !hasMore && (
          <NoConversation onNew={onNew} />
        )}
        {!wanted && isArchive && shown.length === 0 && !hasMoreArchived && (
          <p role="status" className="px-4 py-8 text-center text-ink-soft">
            {texts.menuOfRoom.noneArchived}
          </p>
        )}
        {!wanted && isArchive && shown.length > 0 && hasMoreArchived && (
          <Button className="mt-2 w-full" onClick={onArchive}>
            {words.loadMore}
          </Button>
        )}
        {!wanted && hasMore && !isArchive && (
          <Button ref={more} className="mt-2 w-full" onClick={onMore}>
            {words.loadMore}
          </Button>
        )}
        {!wanted && !isArchive && isLoaded && (
          <button
            type="button"
            onClick={() => {
              onArchive();
              setArchive(true);
            }}
            className="mt-1 flex min-h-10 w-full items-center gap-3 rounded-2xl px-4 text-left text-ink-soft text-sm hover:bg-hover hover:text-ink"
          >
            <Archive aria-hidden="true" className="size-4.5" />
            {texts.menuOfRoom.archived}
          </button>
        )}
      </div>
      {children}
    </nav>
  );
}

/**
 * The next conversations come when the end of the list is in sight; all of them, while one searches. After a failure
 * none are asked for until it is over: the end stays in sight, and would be asked for again at once.
 */
function useMore({ hasMore, isLoading, hasFailed, onMore }: Props, isSearching: boolean) {
  const more = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (!hasMore || isLoading || hasFailed) return;
    if (isSearching) return onMore();
    const seeing = new IntersectionObserver(([entry]) => entry?.isIntersecting && onMore());
    if (more.current) seeing.observe(more.current);
    return () => seeing.disconnect();
  }, [hasMore, isLoading, hasFailed, isSearching, onMore]);
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

/** The last that was refused for good. */
function unsentIn(room: Pick<Room, "outgoing"> | undefined): string {
  return room?.outgoing.findLast(({ status }) => status === "failed")?.content ?? "";
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
