/** Who has seen the newest message of one's own. */
import type { Conversation } from "../../lib/index.ts";
import type { Spoken } from "../messages/rows.ts";

/** In larger conversations nobody is told who has read what. */
const READERS_SHOWN_TO = 100;

export interface Seen {
  /** The message's key and number. */
  key: string;
  seq: number;
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
  const own = messages.findLast((message) => message.seq !== null && message.senderId === userId);
  if (!own || own.seq === null) return null;
  const { seq } = own;
  const ids = Object.entries(conversation.readers)
    .filter(([id, upTo]) => upTo >= seq && id !== userId)
    .map(([id]) => id);
  if (!ids.length) return null;
  const names = new Map(messages.map((message) => [message.senderId, message.senderName]));
  for (const member of members) names.set(member.userId, member.userName);
  const people = ids.map((id) => ({ userId: id, name: names.get(id) || null }));
  return { key: own.key, seq, isDirect: conversation.type === "direct", people };
}
