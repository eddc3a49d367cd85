/** From messages to what is drawn: days, groups of one sender, and where the new ones begin. */
import type { Attachment, Quote } from "../../lib/frames.ts";
import type { Action, Edit } from "../../lib/index.ts";
import { dayKey } from "../time.ts";

/** What a message replies to. */
export interface Quoted {
  messageId: string;
  seq: number;
  senderName: string;
  preview: string;
  isDeleted: boolean;
}

/** A message of whatever state, as the list needs it. */
export interface Spoken {
  /** None until it is stored. */
  id: string | null;
  /** The same before and after it is stored, so that its element stays. */
  key: string;
  /** None until it is stored. */
  seq: number | null;
  senderId: string;
  senderName: string;
  content: string;
  at: Date;
  state: "stored" | "waiting" | "sending" | "failed";
  /** Why it was not sent, for people. */
  failure: string | null;
  isEdited: boolean;
  isDeleted: boolean;
  attachments: Attachment[];
  quoted: Quoted | null;
  reactions: { emoji: string; userIds: string[] }[];
  /** How many replies it has. */
  replies: number;
  /** User ids. */
  mentions: string[];
  mentionAll: boolean;
}

/** What the composer is about, when it is not a message of its own. */
export type Composing = { kind: "reply"; to: Quote } | { kind: "edit"; message: Spoken };

/** What people do with messages. */
export interface Acts {
  react: (message: Spoken, emoji: string, isPresent: boolean) => void;
  delete: (message: Spoken) => void;
  copy: (message: Spoken) => void;
  loadEdits: (message: Spoken) => Promise<Edit[]>;
  compose: (composing: Composing) => void;
  nameOf: (userId: string) => string;
  /** Go to the message with this seq; null where all that can be gone to is in sight. */
  jump: ((seq: number) => void) | null;
  /** The replies to a message; null in such a thread itself. */
  openThread: ((messageId: string) => void) | null;
  /** Whether this person may do that here, now. */
  may: (action: Action) => boolean;
  isPinned: (message: Spoken) => boolean;
  pin: (message: Spoken, isPinned: boolean) => void;
}

export interface Row {
  message: Spoken;
  isOwn: boolean;
  /** First and last of what one person said in one go. */
  isFirst: boolean;
  isLast: boolean;
  /** A day begins with it. */
  startsDay: boolean;
  /** The messages that this person had not seen begin with it. */
  startsNew: boolean;
}

const ONE_GO = 5 * 60_000;

interface Context {
  userId: string;
  /** The last seq that was seen when the conversation was opened; null where nothing is new. */
  newAfter: number | null;
  /** There are messages before the first of these. */
  hasOlder: boolean;
}

/**
 * Where there are earlier messages, the first one waits for them: what stands above a row depends on the message before
 * it, and must not change once it is drawn.
 */
export function rowsOf(messages: readonly Spoken[], { userId, newAfter, hasOlder }: Context): Row[] {
  const firstSeq = messages[0]?.seq ?? null;
  // Where more has come than is here, the new ones begin before all of these.
  const isBefore = hasOlder && newAfter !== null && firstSeq !== null && firstSeq > newAfter + 1;
  const firstNew =
    newAfter === null || isBefore
      ? undefined
      : messages.find((m) => m.seq !== null && m.seq > newAfter && m.senderId !== userId);
  const rows = messages.map((message, place) => {
    const before = messages[place - 1];
    const after = messages[place + 1];
    return {
      message,
      isOwn: message.senderId === userId,
      // The marker of new messages divides a group.
      isFirst: !before || message === firstNew || !belongTogether(before, message),
      isLast: !after || after === firstNew || !belongTogether(message, after),
      startsDay: !before || dayKey(before.at) !== dayKey(message.at),
      startsNew: message === firstNew,
    };
  });
  return hasOlder && rows.length > 1 ? rows.slice(1) : rows;
}

function belongTogether(before: Spoken, after: Spoken): boolean {
  return (
    before.senderId === after.senderId &&
    after.at.getTime() - before.at.getTime() < ONE_GO &&
    dayKey(before.at) === dayKey(after.at)
  );
}

const EMOJI_ONLY = /^(?:\p{RGI_Emoji}\s*){1,3}$/v;

/** Up to three emoji and nothing else are shown large. */
export function isEmojiOnly(content: string): boolean {
  return content.length <= 60 && EMOJI_ONLY.test(content);
}
