import { ArrowDown } from "lucide-react";
import { type ReactNode, useCallback, useRef } from "react";
import { Virtualizer, type VirtualizerHandle } from "virtua";
import { JumpToNew } from "../reading/JumpToNew.tsx";
import { useJumpToNew, useSeen } from "../reading/reading.ts";
import { texts } from "../texts/index.ts";
import { type Target, useNewer, useTarget } from "./jumping.ts";
import { MessageRow } from "./MessageRow.tsx";
import { plainText } from "./markdown.ts";
import type { Acts, Row } from "./rows.ts";
import { useEnd, useOlder, usePrepended, useStartAtNew } from "./scrolling.ts";

const words = texts.messages;
const SPOKEN = 300; // characters

interface Props {
  label: string;
  rows: Row[];
  userId: string;
  acts: Acts;
  /** Whether there may be earlier messages that are not here yet. */
  hasOlder: boolean;
  loadOlder: () => Promise<void>;
  /** These are an excerpt, with more after them. */
  hasNewer: boolean;
  loadNewer: () => Promise<void>;
  /** Back from the excerpt to what is being said. */
  onLive: () => void;
  /** A message to go to. */
  target: Target | null;
  /** Whether one is on the way to a message, which is not here yet. */
  isGoing: boolean;
  onReached: (target: Target) => void;
  /** The messages above this seq are new; null where none is. */
  newAfter: number | null;
  /** How often one has said something here. */
  said: number;
  /** Stands under the message with this key. */
  below: { key: string; content: ReactNode } | null;
  /** The messages up to this one have come into sight. */
  onSeen: (seq: number) => void;
  onRetry: (key: string) => void;
  onDiscard: (key: string) => void;
}

/** The messages, of which only those in sight exist as elements. */
export function MessageList(props: Props) {
  const { label, rows, userId, acts, hasOlder, loadOlder, newAfter, below, onSeen, onRetry, onDiscard } =
    props;
  const { hasNewer, loadNewer, onLive, target, isGoing, onReached, said } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const list = useRef<VirtualizerHandle>(null);
  const isPrepended = usePrepended(rows);
  const end = useEnd(scroller, rows, hasNewer, said);
  const { isAtEnd, leave } = end;
  useStartAtNew(scroller, list, rows, leave, { isGoing, isElsewhere: target !== null });
  const marked = useTarget({ list, rows, hasOlder, leave }, target, onReached);
  const older = useOlder(scroller, rows, hasOlder, loadOlder);
  const lookForNewer = useNewer(scroller, rows, hasNewer, loadNewer);

  const place = { scroller, list, rows, isAtEnd };
  const lookWhatIsSeen = useSeen(place, isGoing, onSeen);
  const marker = useJumpToNew({ ...place, newAfter, hasOlder, loadOlder, leave });

  const { onScroll: followEnd } = end;
  const { look } = older;
  const { onScroll: lookForMarker } = marker;
  const onScroll = useCallback(() => {
    followEnd();
    look();
    lookForNewer();
    lookWhatIsSeen();
    lookForMarker();
  }, [followEnd, look, lookForNewer, lookWhatIsSeen, lookForMarker]);

  const { toEnd } = end;
  const toNewest = useCallback(() => {
    onLive();
    toEnd();
  }, [onLive, toEnd]);

  return (
    <div className="relative min-h-0 flex-1">
      <div
        ref={scroller}
        role="log"
        aria-live="off"
        aria-label={label}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, and the keyboard must reach that
        tabIndex={0}
        onScroll={onScroll}
        className="flex h-full flex-col overflow-y-auto overflow-x-hidden overscroll-contain pt-3 -outline-offset-2 [overflow-anchor:none]"
      >
        <div className="flex-1" />
        <div>
          <Virtualizer ref={list} scrollRef={scroller} shift={isPrepended} data={rows} bufferSize={600}>
            {(row: Row, place) => (
              <MessageRow
                key={row.message.key}
                row={row}
                isBeginning={place === 0 && !hasOlder}
                userId={userId}
                acts={acts}
                isMarked={row.message.key === marked}
                below={row.message.key === below?.key ? below.content : null}
                onRetry={onRetry}
                onDiscard={onDiscard}
              />
            )}
          </Virtualizer>
        </div>
      </div>
      <p role="status" className="sr-only">
        {marked !== null && spokenBy(rows.find((row) => row.message.key === marked))}
      </p>
      {rows.length === 0 && !hasOlder && (
        <p className="pointer-events-none absolute inset-0 grid place-items-center px-8 text-center text-ink-soft">
          {words.empty}
        </p>
      )}
      <p
        role="status"
        className={
          older.isLoading
            ? "absolute inset-x-0 top-3 mx-auto w-fit animate-[rise_200ms_300ms_ease-out_backwards] rounded-full border border-line bg-raised px-4 py-1.5 text-ink-soft text-sm shadow-(--shadow-lift)"
            : "sr-only"
        }
      >
        {older.isLoading && words.loadingOlder}
      </p>
      {marker.isAbove && !older.isLoading && <JumpToNew onClick={marker.jump} />}
      {(end.isAway || hasNewer) && <JumpButton count={end.newBelow} onClick={toNewest} />}
    </div>
  );
}

/** What one has come for, for those who do not see it. */
function spokenBy(row: Row | undefined): string {
  if (!row) return "";
  const name = row.isOwn ? texts.conversations.you : row.message.senderName || words.unknownSender;
  return texts.conversations.lastFrom(name, plainText(row.message.content).slice(0, SPOKEN));
}

function JumpButton({ count, onClick }: { count: number; onClick: () => void }) {
  return (
    <button
      type="button"
      onClick={onClick}
      className="absolute right-5 bottom-3 flex min-h-10 animate-[rise_160ms_ease-out] items-center gap-2 rounded-full border border-line bg-raised px-4 font-semibold text-sm shadow-(--shadow-float) hover:bg-hover max-sm:right-3"
    >
      <ArrowDown aria-hidden="true" className="size-4 text-leaf" strokeWidth={2.4} />
      {count > 0 ? <span className="text-earth">{words.newBelow(count)}</span> : words.jumpToNewest}
    </button>
  );
}
