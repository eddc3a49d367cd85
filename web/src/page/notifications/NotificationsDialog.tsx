import { AtSign, CheckCheck, MessageSquare, UserPlus } from "lucide-react";
import { useEffect, useState } from "react";
import { ChatError, type NotificationEntry, type NotificationList } from "../../lib/index.ts";
import { plainText } from "../messages/markdown.ts";
import { Button } from "../parts/buttons.tsx";
import { Dialog } from "../parts/Dialog.tsx";
import { When } from "../parts/When.tsx";
import { texts } from "../texts/index.ts";
import { reasonOf } from "../texts/reason.ts";

const words = texts.notifications;
const ICONS = { message: MessageSquare, mention: AtSign, added: UserPlus };
const PREVIEW = 200; // characters

interface Props {
  list: NotificationList;
  more: () => Promise<void>;
  readAll: () => Promise<void>;
  /** What a conversation is called, where it is known. */
  titleOf: (conversationId: string) => string | null;
  onPick: (entry: NotificationEntry) => void;
  onClose: () => void;
}

/** What one was told of, newest first; each leads to its place. */
export default function NotificationsDialog({ list, more, readAll, titleOf, onPick, onClose }: Props) {
  const [refusal, setRefusal] = useState<string | null>(null);
  const attempt = (action: Promise<void>) => {
    setRefusal(null);
    action.catch((error) => setRefusal(texts.members.failed(reasonOf(error))));
  };
  const { items, isLoaded, isLoading, hasMore, unreadCount, failure } = list;
  useEffect(() => {
    if (!isLoaded) more().catch(() => undefined); // the list says why
  }, [isLoaded, more]);
  const problem = refusal ?? (failure && texts.members.failed(reasonOf(new ChatError(failure))));
  return (
    <Dialog title={words.title} onClose={onClose}>
      <div className="flex min-h-8 items-center justify-between gap-3 pr-3 pl-6">
        <p role="status" className="text-ink-soft text-sm">
          {isLoaded ? words.unread(unreadCount) : texts.loading}
        </p>
        {unreadCount > 0 && (
          <Button onClick={() => attempt(readAll())}>
            <CheckCheck aria-hidden="true" className="size-4.5" />
            {words.readAll}
          </Button>
        )}
      </div>
      <p role="alert" className={problem ? "px-6 text-danger text-sm" : "sr-only"}>
        {problem}
      </p>
      <div className="min-h-40 overflow-y-auto px-3 pt-1 pb-5">
        {isLoaded && items.length === 0 && (
          <p className="px-3 py-10 text-center text-ink-soft">{words.none}</p>
        )}
        <ol aria-label={words.title} aria-busy={isLoading} className="grid grid-cols-[minmax(0,1fr)] gap-0.5">
          {items.map((entry) => (
            <li key={entry.id}>
              <Entry entry={entry} title={titleOf(entry.conversationId)} onPick={onPick} />
            </li>
          ))}
        </ol>
        {hasMore && (
          <Button className="mt-2 w-full" disabled={isLoading} onClick={() => attempt(more())}>
            {words.more}
          </Button>
        )}
      </div>
    </Dialog>
  );
}

function Entry(props: { entry: NotificationEntry; title: string | null; onPick: Props["onPick"] }) {
  const { entry, title, onPick } = props;
  const { kind, senderName, preview, count, createdAt, readAt } = entry;
  const Icon = ICONS[kind];
  const isUnread = readAt === null;
  const room = entry.conversationName ?? title;
  const sender = senderName || words.somebody;
  return (
    <button
      type="button"
      onClick={() => onPick(entry)}
      className={`grid w-full grid-cols-[auto_minmax(0,1fr)] gap-x-3 rounded-2xl px-3 py-2 text-left hover:bg-hover ${isUnread ? "bg-earth-soft" : ""}`}
    >
      <Icon
        aria-hidden="true"
        strokeWidth={1.9}
        className={`mt-0.5 size-5 ${isUnread ? "text-earth" : "text-ink-soft"}`}
      />
      <span className="grid">
        <span className="flex items-baseline gap-2">
          <bdi className={`min-w-0 flex-1 truncate ${isUnread ? "font-semibold" : ""}`}>
            {isUnread && <span className="sr-only">{words.isUnread} </span>}
            {titleOfEntry(kind, sender, room)}
          </bdi>
          <When at={new Date(createdAt)} className="shrink-0 text-ink-soft text-xs" />
        </span>
        {preview && (
          <span className="line-clamp-2 text-sm [overflow-wrap:anywhere]">
            {plainText(preview).slice(0, PREVIEW)}
          </span>
        )}
        {count > 1 && <span className="text-ink-soft text-xs">{words.folded(count)}</span>}
      </span>
    </button>
  );
}

function titleOfEntry(kind: NotificationEntry["kind"], sender: string, room: string | null): string {
  if (kind === "added") return words.added(room ?? sender);
  if (kind === "mention") return room ? words.mention(sender, room) : sender;
  return room ? words.message(sender, room) : sender;
}
