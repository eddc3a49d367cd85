import { ArrowLeft, Search as SearchIcon, X } from "lucide-react";
import { type ReactNode, useEffect, useMemo, useRef, useState } from "react";
import type { Found, Wanted } from "../../lib/index.ts";
import { PeoplePicker, type Person } from "../conversations/PeoplePicker.tsx";
import { Button, IconButton } from "../parts/buttons.tsx";
import { When } from "../parts/When.tsx";
import { texts } from "../texts/index.ts";
import { partsOf, type Search, useFound } from "./found.ts";

const words = texts.search;
const MOST = 200; // characters, as the gateway takes them

interface Props {
  search: Search;
  searchPeople: (query: string) => Promise<Person[]>;
  /** The conversation that the search may be limited to. */
  here: { id: string; title: string } | null;
  /** Whether it is, at first. */
  startsHere: boolean;
  /** What a conversation is called, where it is known. */
  titleOf: (conversationId: string) => string | null;
  onPick: (found: Found) => void;
  onClose: () => void;
}

/** Search in what was said: here or everywhere, by words, sender and days. */
export default function SearchPanel(props: Props) {
  const { search, searchPeople, here, startsHere, titleOf, onPick, onClose } = props;
  const [query, setQuery] = useState("");
  const [isHere, setHere] = useState(startsHere);
  const [senders, setSenders] = useState<Person[]>([]);
  const [from, setFrom] = useState("");
  const [until, setUntil] = useState("");
  const [isNarrowing, setNarrowing] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  const conversationId = isHere ? here?.id : undefined;
  const senderId = senders[0]?.userId;
  const wanted = useMemo<Wanted | null>(() => {
    if (!/[\p{L}\p{N}]/u.test(query)) return null;
    return {
      words: query.trim(),
      ...(conversationId !== undefined && { conversationId }),
      ...(senderId !== undefined && { senderId }),
      ...(from && { after: dayBegin(from, 0) }),
      ...(until && { before: dayBegin(until, 1) }),
    };
  }, [query, conversationId, senderId, from, until]);
  const found = useFound(search, wanted);

  useEffect(() => {
    const before = document.activeElement;
    field.current?.focus();
    return () => {
      const isLost = document.activeElement === document.body;
      if (isLost && before instanceof HTMLElement) before.focus();
    };
  }, []);
  useEffect(() => setHere(startsHere), [startsHere]);

  return (
    <search
      aria-label={words.title}
      className="flex h-full min-h-0 flex-col"
      onKeyDown={(event) => event.key === "Escape" && onClose()}
    >
      <header className="flex min-h-16 items-center gap-1 pr-3 pl-1.5">
        <IconButton icon={ArrowLeft} label={words.close} onClick={onClose} />
        <h1 className="font-display text-[1.375rem]">{words.title}</h1>
      </header>
      <div className="grid gap-2 px-3 pb-2">
        <label className="flex items-center gap-2.5 rounded-full border border-line bg-surface pr-1 pl-3.5 focus-within:border-line-strong focus-within:outline-2 focus-within:outline-leaf">
          <SearchIcon aria-hidden="true" className="size-4.5 shrink-0 text-ink-soft" />
          <input
            ref={field}
            type="text"
            maxLength={MOST}
            aria-label={words.words}
            placeholder={words.words}
            value={query}
            onChange={(event) => setQuery(event.target.value)}
            className="min-h-10 min-w-0 flex-1 bg-transparent text-[0.9375rem] outline-none"
          />
          {query && (
            <IconButton
              icon={X}
              label={texts.conversations.clearSearch}
              onClick={() => setQuery("")}
              className="size-8!"
            />
          )}
        </label>
        {here && (
          <fieldset className="grid grid-cols-2 gap-1 rounded-full bg-hover p-1 text-center font-semibold text-sm">
            <legend className="sr-only">{words.where}</legend>
            <Choice isChosen={!isHere} onChoose={() => setHere(false)}>
              {words.everywhere}
            </Choice>
            <Choice isChosen={isHere} onChoose={() => setHere(true)}>
              {words.here(here.title)}
            </Choice>
          </fieldset>
        )}
        <details className="px-1.5 text-sm" onToggle={(event) => setNarrowing(event.currentTarget.open)}>
          <summary className="cursor-pointer rounded py-1 font-semibold text-ink-soft hover:text-ink">
            {words.narrow}
          </summary>
          {isNarrowing && (
            <div className="grid gap-3 pt-2 pb-1">
              <PeoplePicker
                label={words.sender}
                search={searchPeople}
                picked={senders}
                onChange={setSenders}
                isSingle
                without={[]}
              />
              <div className="grid grid-cols-2 gap-2">
                <Day label={words.from} value={from} onChange={setFrom} />
                <Day label={words.until} value={until} onChange={setUntil} />
              </div>
            </div>
          )}
        </details>
      </div>
      <Results
        found={found}
        isWanted={wanted !== null}
        titleOf={conversationId === undefined ? titleOf : null}
        onPick={onPick}
      />
    </search>
  );
}

function Results(props: {
  found: ReturnType<typeof useFound>;
  isWanted: boolean;
  /** Null where all are in one conversation. */
  titleOf: Props["titleOf"] | null;
  onPick: Props["onPick"];
}) {
  const { found, isWanted, titleOf, onPick } = props;
  const { items, nextCursor, failure, isSearching, isLoadingMore, more } = found;
  return (
    <div className="min-h-0 flex-1 overflow-y-auto border-line border-t px-2 py-2">
      <p
        role="status"
        className={isWanted && !items.length ? "px-4 py-8 text-center text-ink-soft" : "sr-only"}
      >
        {statusOf(isWanted, isSearching, failure, items.length, nextCursor !== null)}
      </p>
      <ol
        aria-label={words.results}
        aria-busy={isSearching}
        className="grid grid-cols-[minmax(0,1fr)] gap-0.5"
      >
        {items.map((hit) => (
          <li key={hit.message.id}>
            <Hit
              hit={hit}
              title={titleOf && (hit.conversationName ?? titleOf(hit.conversationId))}
              onPick={onPick}
            />
          </li>
        ))}
      </ol>
      {failure && items.length > 0 && (
        <p role="alert" className="px-4 py-2 text-danger text-sm">
          {texts.members.failed(failure)}
        </p>
      )}
      {nextCursor !== null && (
        <Button className="mt-2 w-full" disabled={isLoadingMore || isSearching} onClick={more}>
          {words.more}
        </Button>
      )}
    </div>
  );
}

function statusOf(
  isWanted: boolean,
  isSearching: boolean,
  failure: string | null,
  count: number,
  hasMore: boolean,
): string {
  if (!isWanted) return "";
  if (isSearching) return words.searching;
  if (failure) return texts.members.failed(failure);
  return count ? words.found(count, hasMore) : words.none;
}

function Hit(props: { hit: Found; title: string | null; onPick: (hit: Found) => void }) {
  const { hit, title, onPick } = props;
  const { message, snippet, highlights } = hit;
  return (
    <button
      type="button"
      onClick={() => onPick(hit)}
      className="grid w-full gap-0.5 rounded-2xl px-3 py-2 text-left hover:bg-hover"
    >
      <span className="flex items-baseline gap-2">
        <bdi className="min-w-0 flex-1 truncate font-semibold">{message.senderName}</bdi>
        <When at={new Date(message.createdAt)} className="shrink-0 text-ink-soft text-xs" />
      </span>
      {title && <bdi className="truncate text-ink-soft text-xs">{title}</bdi>}
      <span className="line-clamp-3 text-sm [overflow-wrap:anywhere]">
        {partsOf(snippet, highlights).map(({ text, begin, isFound }) =>
          isFound ? (
            <mark key={begin} className="rounded-sm bg-earth-soft font-semibold text-earth">
              {text}
            </mark>
          ) : (
            text
          ),
        )}
      </span>
    </button>
  );
}

function Choice(props: { isChosen: boolean; onChoose: () => void; children: ReactNode }) {
  return (
    <label className="relative min-w-0 truncate rounded-full px-2.5 py-1.5 has-checked:bg-raised has-checked:shadow-(--shadow-lift) has-focus-visible:outline-2 has-focus-visible:outline-leaf">
      <input
        type="radio"
        name="where"
        checked={props.isChosen}
        onChange={props.onChoose}
        className="absolute inset-0 cursor-pointer appearance-none outline-none"
      />
      {props.children}
    </label>
  );
}

function Day(props: { label: string; value: string; onChange: (day: string) => void }) {
  return (
    <label className="grid gap-1 font-semibold">
      {props.label}
      <input
        type="date"
        value={props.value}
        onChange={(event) => props.onChange(event.target.value)}
        className="min-h-10 min-w-0 rounded-2xl border border-line-strong bg-surface px-2.5 font-normal"
      />
    </label>
  );
}

/** The moment at which a day (of this device's calendar), or one so many days later, begins. */
function dayBegin(day: string, later: number): string {
  const [year = 1970, month = 1, date = 1] = day.split("-").map(Number);
  return new Date(year, month - 1, date + later).toISOString();
}
