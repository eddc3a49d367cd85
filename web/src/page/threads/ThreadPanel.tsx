import { X } from "lucide-react";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { may } from "../../lib/index.ts";
import { Composer } from "../composer/Composer.tsx";
import { useActing } from "../messages/acting.ts";
import { MessageRow } from "../messages/MessageRow.tsx";
import { rowsOf } from "../messages/rows.ts";
import { isNearEnd } from "../messages/scrolling.ts";
import { IconButton } from "../parts/buttons.tsx";
import { ClosedLine } from "../room/ClosedLine.tsx";
import { texts } from "../texts/index.ts";
import type { RoomView } from "../view.ts";

const words = texts.threads;

interface Props {
  room: RoomView;
  messageId: string;
  userId: string;
  onClose: () => void;
}

/** A message and all replies to it, and where one more is written. */
export function ThreadPanel({ room, messageId, userId, onClose }: Props) {
  const { actions, conversation } = room;
  const [failure, setFailure] = useState<string | null>(null);
  const { openThread } = actions;
  useEffect(() => openThread(messageId), [openThread, messageId]);
  const thread = room.threads[messageId];
  const messages = useMemo(() => (thread ? [...thread.parent, ...thread.replies] : []), [thread]);
  const acting = useActing(room, userId, { messages, threadId: messageId, fail: setFailure });
  const rows = useMemo(() => {
    const drawn = rowsOf(messages, { userId, newAfter: null, hasOlder: false });
    // What all of them reply to stands above them already.
    return drawn.map((row) =>
      row.message.quoted?.messageId === messageId
        ? { ...row, message: { ...row.message, quoted: null } }
        : row,
    );
  }, [messages, messageId, userId]);

  const scroller = useRef<HTMLElement>(null);
  const field = useRef<HTMLElement>(null);
  // Whoever is at the end stays there, and whoever replies is taken there.
  const isAtEnd = useRef(true);
  // biome-ignore lint/correctness/useExhaustiveDependencies: for each reply that comes
  useLayoutEffect(() => {
    if (isAtEnd.current) scroller.current?.scrollTo(0, scroller.current.scrollHeight);
  }, [rows.length]);
  const send: typeof acting.send = (content, mentioned) => {
    if (acting.composing?.kind !== "edit") isAtEnd.current = true;
    acting.send(content, mentioned);
  };
  useEffect(() => field.current?.querySelector("textarea")?.focus(), []);

  const count = thread?.replies.length ?? 0;
  return (
    <section ref={field} aria-label={words.title} className="flex h-full min-h-0 flex-col">
      <header className="flex min-h-16 items-center justify-between gap-2 pr-3 pl-5">
        <div>
          <h2 className="font-semibold">{words.title}</h2>
          <p role="status" className="text-ink-soft text-xs">
            {thread?.isLoaded ? words.replies(count) : texts.loading}
          </p>
        </div>
        <IconButton icon={X} label={words.close} onClick={onClose} />
      </header>
      <section
        ref={scroller}
        onScroll={({ currentTarget }) => {
          isAtEnd.current = isNearEnd(currentTarget);
        }}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, and the keyboard must reach that
        tabIndex={0}
        aria-label={words.list}
        className="min-h-0 flex-1 overflow-y-auto overflow-x-hidden pt-2 -outline-offset-2"
      >
        {rows.map((row) => (
          <MessageRow
            key={row.message.key}
            row={row}
            isBeginning={false}
            isMarked={false}
            userId={userId}
            acts={acting.acts}
            below={null}
            onRetry={actions.retry}
            onDiscard={actions.discard}
          />
        ))}
      </section>
      <p role="alert" className={failure ? "px-6 py-1 text-center text-danger text-sm" : "sr-only"}>
        {failure}
      </p>
      {may("send", conversation) ? (
        <Composer
          draft={acting.begun}
          title={words.title}
          people={acting.people}
          composing={acting.composing}
          onEndComposing={acting.endComposing}
          onEditLast={acting.editLast}
          onDraft={acting.keepDraft}
          onSend={send}
          onTyping={actions.typing}
        />
      ) : (
        <ClosedLine onReopen={null} />
      )}
    </section>
  );
}
