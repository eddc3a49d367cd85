/** One message of one's own: made, measured, and as the frame that sends it. */
import { ChatError } from "./errors.ts";
import type { EditMessage, Quote, SendMessage } from "./frames.ts";
import type { Failure, Outgoing, SendOptions } from "./types.ts";

/** As the gateway has them in `contracts/limits.py` and `WS_MAX_FRAME`. */
const CONTENT_LENGTH = 8000;
const FRAME_BYTES = 64 * 1024;

/** An outgoing message, as it is kept. */
export interface Entry extends Outgoing {
  /** Rises in the order of sending, also across tabs and restarts. */
  readonly order: number;
}

let lastOrder = 0;

/** Throws CONTENT_EMPTY. */
export function newEntry(
  conversationId: string,
  content: string,
  options: SendOptions = {},
  reply: Quote | null = null,
): Entry {
  const { attachments = [], replyTo = null, mentions = [], mentionAll = false } = options;
  const trimmed = attachments.length ? wellFormed(content) : contentOf(content);
  const now = Date.now();
  lastOrder = Math.max(lastOrder + 1, now * 1000);
  return {
    tempId: randomId(),
    conversationId,
    content: trimmed,
    attachments,
    replyTo,
    reply,
    mentions,
    mentionAll,
    createdAt: new Date(now).toISOString(),
    status: "waiting",
    failure: null,
    order: lastOrder,
  };
}

/** One that is too long has failed: never sent, and what was written is not lost. */
export function measured(entry: Entry): Entry {
  return isTooLong(frameOf(entry)) ? { ...entry, status: "failed", failure: TOO_LONG } : entry;
}

/** As it is sent. Throws CONTENT_EMPTY. */
export function contentOf(content: string): string {
  const trimmed = wellFormed(content);
  if (!trimmed) throw new ChatError(EMPTY);
  return trimmed;
}

// Half of a surrogate pair is not JSON for everybody.
const wellFormed = (content: string) => content.toWellFormed().trim();

const EMPTY: Failure = {
  code: "CONTENT_EMPTY",
  message: "A message needs content or an attachment.",
  retryable: false,
};

export const TOO_LONG: Failure = {
  code: "CONTENT_TOO_LONG",
  message: `A message has at most ${CONTENT_LENGTH} characters.`,
  retryable: false,
};

/** The gateway counts code points; a frame that is too large would cost the connection. */
export function isTooLong(frame: SendMessage | EditMessage): boolean {
  const { content = "" } = frame;
  if (content.length > CONTENT_LENGTH && [...content].length > CONTENT_LENGTH) return true;
  return new TextEncoder().encode(JSON.stringify(frame)).length > FRAME_BYTES;
}

/** An entry that an earlier version of this library has kept says less. */
export function completed(entry: Entry): Entry {
  const missing = { reply: null, mentions: [], mentionAll: false };
  return { ...missing, ...entry };
}

export function frameOf(entry: Entry): SendMessage {
  const { conversationId, content, tempId, attachments, replyTo, mentions, mentionAll } = entry;
  return {
    type: "send_message",
    conversationId,
    content,
    tempId,
    // A frame that is refused as a whole is answered by its request only.
    requestId: tempId,
    ...(attachments.length > 0 && { attachments: [...attachments] }),
    ...(replyTo !== null && { replyTo }),
    ...(mentions.length > 0 && { mentions: [...mentions] }),
    ...(mentionAll && { mentionAll }),
  };
}

/** 32 hexadecimal digits. `crypto.randomUUID` is missing on pages that are not from https or this host. */
export function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
