/** Who has seen the newest message of one's own. */
import type { Conversation } from "../../lib/index.ts";
import type { Spoken } from "../messages/rows.ts";

/** In larger conversations nobody is told who has read what. */
const READERS_SHOWN_TO = 100;

export interface Seen {
  /** The message's. */
  key: string;
  id: string;
  isDirect: boolean;
  /** A name is null where it is not known here. */
  people: { userId: string; name: string | null }[];
}

interface Named {
  userId: string;
  userName: string;
}

/** Null where there is nothing to say: nothing of one's own, or nobody has seen it yet. */
export function seenOf(
  conversation: Pick<Conversation, "type" | "memberCount" | "readers">,
  members: readonly Named[],
  messages: readonly Spoken[],
  userId: string,
): Seen | null {
  if (conversation.memberCount > READERS_SHOWN_TO) return null;
  const own = messages.findLast(
    (message) => message.seq !== null && message.senderId === userId && !message.isDeleted,
  );
  if (!own || own.seq === null || own.id === null) return null;
  const { key, id, seq } = own;
  const ids = Object.entries(conversation.readers)
    .filter(([reader, upTo]) => upTo >= seq && reader !== userId)
    .map(([reader]) => reader);
  if (!ids.length) return null;
  const names = new Map(messages.map((message) => [message.senderId, message.senderName]));
  for (const member of members) names.set(member.userId, member.userName);
  const people = ids.map((reader) => ({ userId: reader, name: names.get(reader) || null }));
  return { key, id, isDirect: conversation.type === "direct", people };
}
