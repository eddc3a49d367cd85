/** One message as it is now: of two states the newer, its replies counted, what it quotes emptied. No I/O. */
import type { Message, Quote, Replies } from "./frames.ts";

/** Of two states of one message the newer, with what only the other one says. */
export function newest(held: Message, came: Message): Message {
  const [state, other] = changeOf(came) >= changeOf(held) ? [came, held] : [held, came];
  const tempId = state.tempId ?? other.tempId; // told to its sender only
  const replies = newestReplies(state.replies, other.replies);
  const reply = other.reply?.isDeleted ? other.reply : state.reply;
  if (state === held && tempId === held.tempId && replies === held.replies && reply === held.reply)
    return held;
  return {
    ...state,
    ...(tempId !== undefined && { tempId }),
    ...(replies && { replies }),
    ...(reply && { reply }),
  };
}

export const changeOf = (message: Message) => message.changeSeq ?? 0;

/** What shows a message above a reply to it, as the gateway makes it. */
export function quoteOf(message: Pick<Message, QuotedParts>): Quote {
  const { id, seq, senderId, senderName, content, isDeleted } = message;
  const preview = [...content].slice(0, PREVIEW).join("");
  return { messageId: id, seq, senderId, senderName, preview, ...(isDeleted && { isDeleted }) };
}

type QuotedParts = "id" | "seq" | "senderId" | "senderName" | "content" | "isDeleted";
const PREVIEW = 140;

function newestReplies(one: Replies | undefined, other: Replies | undefined): Replies | undefined {
  return (other?.lastSeq ?? 0) > (one?.lastSeq ?? 0) ? other : one;
}

/** Messages with one of them as it is now; the same list where that changes nothing. */
export function replaced(messages: readonly Message[], message: Message): readonly Message[] {
  const at = messages.findIndex(({ seq }) => seq === message.seq);
  const held = messages[at];
  const next = held && newest(held, message);
  const same = next === held || !next ? messages : messages.with(at, next);
  return message.isDeleted ? unquoted(same, message.id) : same;
}

/** With those of `replies` counted that nobody has counted yet: nothing else tells of them. */
export function counted(messages: readonly Message[], replies: readonly Message[]): readonly Message[] {
  const byTarget = new Map<string, Message[]>();
  for (const reply of replies)
    if (reply.replyTo !== undefined)
      byTarget.set(reply.replyTo, [...(byTarget.get(reply.replyTo) ?? []), reply]);
  return byTarget.size ? messages.map((message) => withReplies(message, byTarget.get(message.id))) : messages;
}

function withReplies(message: Message, replies: readonly Message[] = []): Message {
  const { count, lastSeq } = message.replies ?? { count: 0, lastSeq: 0 };
  const seqs = replies.map(({ seq }) => seq).filter((seq) => seq > lastSeq);
  if (!seqs.length) return message;
  return { ...message, replies: { count: count + seqs.length, lastSeq: Math.max(...seqs) } };
}

/** A message was deleted: nothing quotes it any more. */
export function unquoted(messages: readonly Message[], deletedId: string): readonly Message[] {
  const quotes = ({ reply }: Message) => reply?.messageId === deletedId && !reply.isDeleted;
  if (!messages.some(quotes)) return messages;
  return messages.map((message) =>
    message.reply && quotes(message)
      ? { ...message, reply: { ...message.reply, preview: "", isDeleted: true } }
      : message,
  );
}
