import { BellOff } from "lucide-react";
import { memo } from "react";
import { plainText } from "../messages/markdown.ts";
import { When } from "../parts/When.tsx";
import { LiveAvatar } from "../presence/Faces.tsx";
import { texts } from "../texts/index.ts";

const words = texts.conversations;
const PREVIEW = 160;

/** A conversation as the list shows it. */
export interface Listed {
  id: string;
  title: string;
  face: { id: string; kind: "person" | "group" | "channel" };
  unread: number;
  /** Something unread mentions this person. */
  isMentioned: boolean;
  isMuted: boolean;
  isArchived: boolean;
  at: Date;
  last: { from: string | null; content: string; isDeleted: boolean; hasAttachment: boolean } | null;
}

export const addressOf = (conversationId: string) => `#/c/${encodeURIComponent(conversationId)}`;

export const ConversationItem = memo(function ConversationItem(props: {
  item: Listed;
  draft: string;
  /** What was refused for good; empty where nothing was. */
  unsent: string;
  isCurrent: boolean;
}) {
  const { item, draft, unsent, isCurrent } = props;
  const isUnread = item.unread > 0;
  return (
    <a
      href={addressOf(item.id)}
      aria-current={isCurrent ? "page" : undefined}
      className="flex items-center gap-3 rounded-2xl px-2.5 py-2 transition-colors hover:bg-hover aria-[current=page]:bg-leaf-soft"
    >
      <LiveAvatar id={item.face.id} name={item.title} kind={item.face.kind} size="large" />
      <span className="grid min-w-0 flex-1 grid-cols-[minmax(0,1fr)] gap-0.5">
        <span className="flex items-baseline gap-2">
          <bdi className={`min-w-0 flex-1 truncate ${isUnread ? "font-bold" : "font-semibold"}`}>
            {item.title}
          </bdi>
          {item.isMuted && (
            <span role="img" aria-label={texts.menuOfRoom.muted} title={texts.menuOfRoom.muted}>
              <BellOff aria-hidden="true" className="size-3.5 self-center text-ink-soft" />
            </span>
          )}
          <When
            at={item.at}
            className={`shrink-0 text-xs ${isUnread ? "font-semibold text-earth" : "text-ink-soft"}`}
          />
        </span>
        <span className="flex min-h-5 items-center gap-2">
          <span className={`min-w-0 flex-1 truncate text-sm ${isUnread ? "text-ink" : "text-ink-soft"}`}>
            {unsent ? (
              <Own label={texts.messages.failed} text={unsent} className="text-danger" />
            ) : draft && !isCurrent ? (
              <Own label={words.draft} text={draft} className="text-earth" />
            ) : (
              preview(item)
            )}
          </span>
          {item.isMentioned && (
            <span
              title={texts.mentions.unread}
              className="grid size-5 place-items-center rounded-full bg-earth-soft font-bold text-earth text-xs leading-none"
            >
              <span aria-hidden="true">@</span>
              <span className="sr-only">{texts.mentions.unread}</span>
            </span>
          )}
          {isUnread && (
            <span
              className={`grid h-5 min-w-5 place-items-center rounded-full px-1.5 font-bold text-[0.6875rem] leading-none ${item.isMuted ? "bg-line text-ink" : "bg-earth text-on-earth"}`}
            >
              <span aria-hidden="true">{item.unread > 99 ? "99+" : item.unread}</span>
              <span className="sr-only">{words.unread(item.unread)}</span>
            </span>
          )}
        </span>
      </span>
    </a>
  );
});

/** What one wrote oneself, and nobody else has seen. */
function Own({ label, text, className }: { label: string; text: string; className: string }) {
  return (
    <>
      <span className={`font-semibold ${className}`}>{label}</span>{" "}
      <bdi>{text.slice(0, PREVIEW).replace(/\s+/g, " ")}</bdi>
    </>
  );
}

function preview({ last }: Listed): string {
  if (!last) return words.noMessages;
  if (last.isDeleted) return words.deletedMessage;
  const text = plainText(last.content.slice(0, PREVIEW * 2)).slice(0, PREVIEW);
  const said = text || (last.hasAttachment ? words.attachment : "");
  return last.from ? words.lastFrom(last.from, said) : said;
}
