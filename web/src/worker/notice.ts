/** What a push says, and how it is shown. No browser in here. */
import { textsFor } from "./texts.ts";

/** As `services/notifier/webpush.py` writes it. Without content there is neither name nor preview. */
export interface Notice {
  id: string;
  kind: "message" | "mention" | "added";
  conversationId: string;
  seq?: number | null;
  /** Messages that it stands for; 1 when left out. */
  count?: number;
  /** Milliseconds since 1970. */
  createdAt?: number;
  conversationName?: string | null;
  senderName?: string | null;
  preview?: string | null;
}

/** Kept with a notification that is shown. */
export interface Shown {
  id: string;
  conversationId: string;
  seq: number;
  /** Messages of the conversation that it stands for. */
  count: number;
}

/** Null for what no version of ours has sent. */
export function readNotice(text: string): Notice | null {
  try {
    const notice: Notice | null = JSON.parse(text);
    return notice && typeof notice.id === "string" && typeof notice.conversationId === "string"
      ? notice
      : null;
  } catch {
    return null;
  }
}

/** Null when what is shown of this conversation says as much already: a push may come twice, or late. */
export function shownAfter(notice: Notice, before: Shown | null): Shown | null {
  const { id, conversationId } = notice;
  const seq = notice.seq ?? 0;
  if (before && (before.id === id || (seq > 0 && seq <= before.seq))) return null;
  return {
    id,
    conversationId,
    seq: Math.max(seq, before?.seq ?? 0),
    count: (before?.count ?? 0) + (notice.count ?? 1),
  };
}

export function wordsOf(notice: Notice, count: number, languages: readonly string[]) {
  const texts = textsFor(languages);
  const { kind, conversationName: room, senderName, preview } = notice;
  const more = count > 1 ? texts.more(count - 1) : null;
  if (!room && !senderName) return { title: "Palabre", body: lines(texts.fresh, more) };
  if (kind === "added") return { title: texts.added(room ?? texts.conversation), body: more ?? "" };
  const sender = senderName ?? texts.somebody;
  const inRoom = room ? texts[kind](sender, room) : null;
  const direct = kind === "mention" ? texts.mentioned(sender) : sender;
  return { title: inRoom ?? direct, body: lines(preview || texts.fresh, more) };
}

const lines = (...parts: (string | null)[]) => parts.filter(Boolean).join("\n");

/** The page, at a conversation: as `page/conversations/ConversationItem.tsx` has it. */
export const addressOf = (conversationId: string) => `/#/c/${encodeURIComponent(conversationId)}`;
