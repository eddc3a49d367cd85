import { Check, CircleAlert, Clock3, MessagesSquare, Paperclip, Pin } from "lucide-react";
import { type CSSProperties, memo, type ReactNode, useCallback, useRef, useState } from "react";
import { Avatar, hueOf } from "../parts/Avatar.tsx";
import { texts } from "../texts/index.ts";
import { dayName, exactTimeOf, timeOf } from "../time.ts";
import { useToday } from "../today.ts";
import { Markdown } from "./Markdown.tsx";
import { MentionedProvider, mentioned } from "./Mentioned.tsx";
import { MessageDialogs } from "./MessageDialogs.tsx";
import { MessageTools } from "./MessageTools.tsx";
import { useLongPress } from "./press.ts";
import { Quote } from "./Quote.tsx";
import { Reactions } from "./Reactions.tsx";
import { type Acts, isEmojiOnly, type Row, type Spoken } from "./rows.ts";
import { type Asked, toolsOf } from "./tools.ts";

const words = texts.messages;
const LONG = { characters: 1500, lines: 18 };

interface Props {
  row: Row;
  /** Nothing was said before it. */
  isBeginning: boolean;
  /** Somebody has just come here for it. */
  isMarked: boolean;
  userId: string;
  acts: Acts;
  below: ReactNode;
  onRetry: (key: string) => void;
  onDiscard: (key: string) => void;
}

/** One message with what stands above it: the day, the marker of new ones, the sender. */
export const MessageRow = memo(function MessageRow(props: Props) {
  const { row, isBeginning, isMarked, userId, acts, below, onRetry, onDiscard } = props;
  const { message, isOwn, isFirst, isLast } = row;
  const [asked, setAsked] = useState<Asked | null>(null);
  const close = useCallback(() => setAsked(null), []);
  const bubble = useRef<HTMLDivElement>(null);
  const tools = toolsOf(row, acts, setAsked);
  const press = useLongPress(() => tools.length > 0 && setAsked("sheet"));
  const name = message.senderName || words.unknownSender;
  return (
    <div className={`mx-auto max-w-4xl px-4 max-sm:px-2.5 ${isLast ? "pb-3" : "pb-0.5"}`}>
      {isBeginning && <p className="pt-8 pb-2 text-center text-ink-soft text-sm">{words.beginning}</p>}
      {row.startsDay && <DayHeading date={message.at} />}
      {row.startsNew && <NewMarker />}
      <article
        aria-label={words.from(isOwn ? texts.conversations.you : name, timeOf(message.at))}
        aria-current={isMarked || undefined}
        className={`flex items-end gap-2.5 rounded-3xl transition-[background-color,box-shadow] duration-500 ${isOwn ? "flex-row-reverse" : ""} ${isMarked ? "bg-earth-soft shadow-[0_0_0_2px_var(--earth-soft)]" : ""}`}
      >
        {!isOwn && (
          <span className="w-9 shrink-0 max-sm:w-7">
            {isLast && (
              <>
                <span className="max-sm:hidden">
                  <Avatar id={message.senderId} name={name} />
                </span>
                <span className="sm:hidden">
                  <Avatar id={message.senderId} name={name} size="small" />
                </span>
              </>
            )}
          </span>
        )}
        <div
          className={`flex min-w-0 max-w-[min(38rem,85%)] flex-col ${isOwn ? "items-end" : "items-start"}`}
        >
          {isFirst && !isOwn && (
            <p
              style={{ "--hue": hueOf(message.senderId) } as CSSProperties}
              className="sender mb-0.5 max-w-full truncate px-3.5 font-semibold text-[0.8125rem]"
            >
              <bdi>{name}</bdi>
            </p>
          )}
          {/* biome-ignore lint/a11y/noStaticElementInteractions: a long press only shows what the keyboard reaches anyway */}
          <div
            ref={bubble}
            className="group relative max-w-full pointer-coarse:select-none"
            onContextMenu={(event) => matchMedia("(pointer: coarse)").matches && event.preventDefault()}
            {...press}
          >
            <Bubble row={row} userId={userId} acts={acts} onHistory={() => setAsked("edits")} />
            {tools.length > 0 && <MessageTools tools={tools} isOwn={isOwn} />}
          </div>
          <Reactions message={message} userId={userId} acts={acts} />
          {message.replies > 0 && message.id !== null && (
            <RepliesButton count={message.replies} messageId={message.id} openThread={acts.openThread} />
          )}
          {message.state === "failed" && (
            <Failure
              reason={message.failure}
              // A page that is not from https or this host has no clipboard.
              onCopy={navigator.clipboard && message.content ? () => acts.copy(message) : null}
              onRetry={() => onRetry(message.key)}
              onDiscard={() => onDiscard(message.key)}
            />
          )}
        </div>
      </article>
      {below}
      {asked && (
        <MessageDialogs
          asked={asked}
          row={row}
          userId={userId}
          tools={tools}
          acts={acts}
          anchor={bubble}
          onClose={close}
        />
      )}
    </div>
  );
});

function RepliesButton(props: { count: number; messageId: string; openThread: Acts["openThread"] }) {
  const { count, messageId, openThread } = props;
  if (!openThread) return null;
  return (
    <button
      type="button"
      onClick={() => openThread(messageId)}
      className="mt-0.5 flex min-h-7 items-center gap-1.5 rounded-full px-2.5 font-semibold text-leaf text-sm hover:bg-hover max-sm:min-h-9"
    >
      <MessagesSquare aria-hidden="true" className="size-4" />
      {texts.threads.replies(count)}
    </button>
  );
}

function Bubble(props: { row: Row; userId: string; acts: Acts; onHistory: () => void }) {
  const { row, userId, acts, onHistory } = props;
  const { message, isOwn, isFirst, isLast } = row;
  const isCalled = !isOwn && (message.mentionAll || message.mentions.includes(userId));
  const isLarge = !message.isDeleted && isEmojiOnly(message.content);
  // The corners on the sender's side are small inside a group.
  const corners = isOwn
    ? `rounded-[1.25rem] ${isFirst ? "" : "rounded-tr-md"} ${isLast ? "rounded-br-md" : "rounded-br-md"}`
    : `rounded-[1.25rem] ${isFirst ? "" : "rounded-tl-md"} ${isLast ? "rounded-bl-md" : "rounded-bl-md"}`;
  const ground = isOwn ? "bg-leaf-soft" : `bg-raised border ${isCalled ? "border-earth" : "border-line"}`;
  return (
    <div
      className={`max-w-full overflow-clip px-3.5 py-2 leading-[1.45] ${corners} ${isLarge ? "" : ground}`}
    >
      {message.quoted && <Quote quoted={message.quoted} onJump={acts.jump} />}
      {isCalled && <span className="sr-only">{texts.mentions.you}</span>}
      <MentionedProvider value={mentioned(message, userId, acts.nameOf)}>
        <Words message={message} isLarge={isLarge} />
      </MentionedProvider>
      <Foot message={message} isOwn={isOwn} isPinned={acts.isPinned(message)} onHistory={onHistory} />
    </div>
  );
}

function Foot(props: { message: Spoken; isOwn: boolean; isPinned: boolean; onHistory: () => void }) {
  const { message, isOwn, isPinned, onHistory } = props;
  return (
    <p
      className={`-mb-0.5 flex items-center justify-end gap-1 whitespace-nowrap pt-0.5 text-ink-soft text-xs ${isOwn ? "" : "justify-start"}`}
    >
      {isPinned && (
        <span role="img" aria-label={texts.pins.pinned} title={texts.pins.pinned}>
          <Pin aria-hidden="true" className="size-3 text-leaf" />
        </span>
      )}
      {message.isEdited && !message.isDeleted && (
        <>
          <button
            type="button"
            title={words.history}
            onClick={onHistory}
            className="rounded underline-offset-2 hover:underline"
          >
            {words.edited}
          </button>
          {" · "}
        </>
      )}
      <time dateTime={message.at.toISOString()} title={exactTimeOf(message.at)}>
        {timeOf(message.at)}
      </time>
      {isOwn && <State state={message.state} />}
    </p>
  );
}

/** Long messages that are shown whole, by key: a row that is scrolled away and back is another element. */
const whole = new Set<string>();

function Words({ message, isLarge }: { message: Spoken; isLarge: boolean }) {
  const [isWhole, setWhole] = useState(whole.has(message.key));
  if (message.isDeleted) return <p className="text-ink-soft italic">{words.deleted}</p>;
  if (isLarge) return <p className="text-[2.75rem] leading-tight">{message.content}</p>;
  const { content } = message;
  const isLong = content.length > LONG.characters || content.split("\n", LONG.lines + 1).length > LONG.lines;
  return (
    <>
      <div className={isLong && !isWhole ? "faded max-h-80 overflow-clip" : undefined}>
        <Markdown content={content} />
      </div>
      {isLong && (
        <button
          type="button"
          aria-expanded={isWhole}
          onClick={() => {
            if (isWhole) whole.delete(message.key);
            else whole.add(message.key);
            setWhole(!isWhole);
          }}
          className="mt-1 rounded font-semibold text-leaf text-sm hover:underline"
        >
          {isWhole ? words.showLess : words.showMore}
        </button>
      )}
      {message.attachments.map((attachment) => (
        <a
          key={attachment.url}
          href={attachment.url}
          target="_blank"
          rel="noopener noreferrer nofollow"
          className="mt-1 flex items-center gap-2 font-semibold text-leaf underline [overflow-wrap:anywhere]"
        >
          <Paperclip aria-hidden="true" className="size-4 shrink-0" />
          {attachment.name}
        </a>
      ))}
    </>
  );
}

function State({ state }: { state: Spoken["state"] }) {
  const [Icon, label] = {
    stored: [Check, words.sent] as const,
    waiting: [Clock3, words.waiting] as const,
    sending: [Clock3, words.sending] as const,
    failed: [CircleAlert, words.failed] as const,
  }[state];
  return (
    <span
      role="img"
      aria-label={label}
      title={label}
      className={state === "failed" ? "text-danger" : "text-leaf"}
    >
      <Icon className="size-3.5" strokeWidth={2.4} />
    </span>
  );
}

function Failure(props: {
  reason: string | null;
  onCopy: (() => void) | null;
  onRetry: () => void;
  onDiscard: () => void;
}) {
  const { reason, onCopy, onRetry, onDiscard } = props;
  const action = "rounded px-1 font-semibold underline-offset-2 hover:underline";
  return (
    <p role="alert" className="flex flex-wrap items-center gap-x-2 px-2 pt-1 text-danger text-sm">
      <span>{reason === null ? words.failed : words.failedBecause(reason)}</span>
      <button type="button" onClick={onRetry} className={action}>
        {words.retry}
      </button>
      {onCopy && (
        <button type="button" onClick={onCopy} className={`${action} text-ink-soft`}>
          {words.copy}
        </button>
      )}
      <button type="button" onClick={onDiscard} className={`${action} text-ink-soft`}>
        {words.discard}
      </button>
    </p>
  );
}

function DayHeading({ date }: { date: Date }) {
  useToday();
  return (
    <h2 className="flex items-center gap-4 py-4 font-semibold text-ink-soft text-xs before:h-px before:flex-1 before:bg-line after:h-px after:flex-1 after:bg-line">
      {dayName(date)}
    </h2>
  );
}

function NewMarker() {
  return (
    <p className="flex items-center gap-3 py-2 font-semibold text-earth text-xs after:h-px after:flex-1 after:bg-earth">
      {words.newMessages}
    </p>
  );
}
