import { Check, CircleAlert, Clock3, Paperclip } from "lucide-react";
import { type CSSProperties, memo, type ReactNode, useState } from "react";
import { Avatar, hueOf } from "../parts/Avatar.tsx";
import { texts } from "../texts/index.ts";
import { dayName, exactTimeOf, timeOf } from "../time.ts";
import { Markdown } from "./Markdown.tsx";
import { MessageActions } from "./MessageActions.tsx";
import { Reactions } from "./Reactions.tsx";
import { type Acts, isEmojiOnly, type Quoted, type Row, type Spoken } from "./rows.ts";

const words = texts.messages;
const LONG = { characters: 1500, lines: 18 };

interface Props {
  row: Row;
  /** Nothing was said before it. */
  isBeginning: boolean;
  userId: string;
  acts: Acts;
  below: ReactNode;
  onRetry: (key: string) => void;
  onDiscard: (key: string) => void;
}

/** One message with what stands above it: the day, the marker of new ones, the sender. */
export const MessageRow = memo(function MessageRow(props: Props) {
  const { row, isBeginning, userId, acts, below, onRetry, onDiscard } = props;
  const { message, isOwn, isFirst, isLast } = row;
  const [isPressed, setPressed] = useState(false);
  const name = message.senderName || words.unknownSender;
  return (
    <div className={`mx-auto max-w-4xl px-4 max-sm:px-2.5 ${isLast ? "pb-3" : "pb-0.5"}`}>
      {isBeginning && <p className="pt-8 pb-2 text-center text-ink-soft text-sm">{words.beginning}</p>}
      {row.startsDay && <DayHeading date={message.at} />}
      {row.startsNew && <NewMarker />}
      <article
        aria-label={words.from(isOwn ? texts.conversations.you : name, timeOf(message.at))}
        className={`flex items-end gap-2.5 ${isOwn ? "flex-row-reverse" : ""}`}
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
            className="group relative max-w-full"
            onContextMenu={(event) => {
              if (!matchMedia("(pointer: coarse)").matches) return;
              event.preventDefault();
              setPressed(true);
            }}
            onPointerLeave={() => setPressed(false)}
          >
            <Bubble row={row} />
            {message.id !== null && !message.isDeleted && (
              <MessageActions row={row} acts={acts} isShown={isPressed} />
            )}
          </div>
          <Reactions message={message} userId={userId} acts={acts} />
          {message.state === "failed" && (
            <Failure onRetry={() => onRetry(message.key)} onDiscard={() => onDiscard(message.key)} />
          )}
        </div>
      </article>
      {below}
    </div>
  );
});

function Bubble({ row }: { row: Row }) {
  const { message, isOwn, isFirst, isLast } = row;
  const isLarge = !message.isDeleted && isEmojiOnly(message.content);
  // The corners on the sender's side are small inside a group.
  const corners = isOwn
    ? `rounded-[1.25rem] ${isFirst ? "" : "rounded-tr-md"} ${isLast ? "rounded-br-md" : "rounded-br-md"}`
    : `rounded-[1.25rem] ${isFirst ? "" : "rounded-tl-md"} ${isLast ? "rounded-bl-md" : "rounded-bl-md"}`;
  const ground = isOwn ? "bg-leaf-soft" : "bg-raised border border-line";
  return (
    <div
      className={`max-w-full overflow-clip px-3.5 py-2 leading-[1.45] ${corners} ${isLarge ? "" : ground}`}
    >
      {message.quoted && <Quote quoted={message.quoted} />}
      <Words message={message} isLarge={isLarge} />
      <p
        className={`-mb-0.5 flex items-center justify-end gap-1 whitespace-nowrap pt-0.5 text-ink-soft text-xs ${isOwn ? "" : "justify-start"}`}
      >
        {message.isEdited && !message.isDeleted && <span>{words.edited} ·</span>}
        <time dateTime={message.at.toISOString()} title={exactTimeOf(message.at)}>
          {timeOf(message.at)}
        </time>
        {isOwn && <State state={message.state} />}
      </p>
    </div>
  );
}

function Quote({ quoted }: { quoted: Quoted }) {
  return (
    <div className="mb-1 border-leaf border-l-3 pl-2.5 text-sm">
      <p className="truncate font-semibold text-leaf">
        <bdi>{quoted.senderName || words.unknownSender}</bdi>
      </p>
      <p className={`truncate text-ink-soft ${quoted.isDeleted ? "italic" : ""}`}>
        {quoted.isDeleted ? words.deleted : quoted.preview}
      </p>
    </div>
  );
}

function Words({ message, isLarge }: { message: Spoken; isLarge: boolean }) {
  const [isWhole, setWhole] = useState(false);
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
          onClick={() => setWhole(!isWhole)}
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

function Failure({ onRetry, onDiscard }: { onRetry: () => void; onDiscard: () => void }) {
  const action = "rounded px-1 font-semibold underline-offset-2 hover:underline";
  return (
    <p role="alert" className="flex flex-wrap items-center gap-x-2 px-2 pt-1 text-danger text-sm">
      <span>{words.failed}</span>
      <button type="button" onClick={onRetry} className={action}>
        {words.retry}
      </button>
      <button type="button" onClick={onDiscard} className={`${action} text-ink-soft`}>
        {words.discard}
      </button>
    </p>
  );
}

function DayHeading({ date }: { date: Date }) {
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
