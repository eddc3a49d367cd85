/**
 * What this person does to messages that exist: edits, deletions, reactions. Shown at once, and taken back when the
 * gateway refuses. Each of them can be asked for again without harm, so what may have been lost simply is.
 */
import { type Backoff, delayOf } from "./backoff.ts";
import type { Context } from "./context.ts";
import { isTooLong, TOO_LONG } from "./entry.ts";
import { failureIn } from "./errors.ts";
import type {
  AddReaction,
  DeleteMessage,
  EditMessage,
  Error as ErrorFrame,
  Message,
  RemoveReaction,
} from "./frames.ts";
import type { Failure } from "./types.ts";

export type ChangeFrame = EditMessage | DeleteMessage | AddReaction | RemoveReaction;

interface Asked {
  readonly frame: ChangeFrame & { requestId: string };
  /** ISO 8601, by this device's clock. */
  readonly at: string;
  failures: number;
  /** Of the next attempt, or of an answer that does not come. */
  timer: ReturnType<typeof setTimeout> | undefined;
}

export interface Changes {
  /** Now, or as soon as there is a connection. */
  ask(frame: ChangeFrame): void;
  /** Messages with what this person is doing to them. */
  shown(conversationId: string, messages: readonly Message[]): readonly Message[];
  /** The gateway has done it. Returns whether it was one of these. */
  answered(requestId: string | undefined): boolean;
  /** Returns whether this answers one of these. */
  refused(frame: ErrorFrame): boolean;
  connected(): void;
  disconnected(): void;
  /** Nothing of this conversation concerns this person any more. */
  forget(conversationId: string): void;
  dispose(): void;
}

/** The gateway answers within ten seconds; after this long the answer is lost. */
const ANSWER_TIMEOUT = 15_000;
const ATTEMPTS = 5;
const RETRY: Backoff = { base: 1000, cap: 15_000 };

/** `onChange`: what `shown` says of a conversation is another thing now. */
export function createChanges(context: Context, onChange: (conversationId: string) => void): Changes {
  const asked = new Map<string, Asked>(); // by `requestId`, in the order of asking
  let requests = 0;

  function ask(frame: ChangeFrame): void {
    const requestId = `change-${++requests}`;
    const at = new Date().toISOString();
    const one: Asked = { frame: { ...frame, requestId }, at, failures: 0, timer: undefined };
    if (one.frame.type === "edit_message" && isTooLong(one.frame)) {
      failed(one, TOO_LONG);
      return;
    }
    for (const before of asked.values()) if (replaces(frame, before.frame)) drop(before);
    asked.set(requestId, one);
    deliver(one);
    onChange(frame.conversationId);
  }

  function deliver(one: Asked): void {
    clearTimeout(one.timer);
    if (!context.isConnected() || !context.send(one.frame)) return;
    one.timer = setTimeout(() => failed(one, LATE), ANSWER_TIMEOUT);
  }

  function failed(one: Asked, failure: Failure): void {
    clearTimeout(one.timer);
    if (failure.retryable && ++one.failures < ATTEMPTS) {
      const delay = failure.retryAfterMs ?? delayOf(one.failures - 1, RETRY);
      one.timer = setTimeout(() => deliver(one), delay);
      return;
    }
    drop(one);
    const { conversationId, messageId } = one.frame;
    onChange(conversationId);
    context.emit({ type: "change_failed", conversationId, messageId, change: kindOf(one.frame), failure });
  }

  function drop(one: Asked): void {
    clearTimeout(one.timer);
    asked.delete(one.frame.requestId);
  }

  return {
    ask,
    shown(conversationId, messages) {
      const here = [...asked.values()].filter(({ frame }) => frame.conversationId === conversationId);
      const myId = context.store.get().me?.userId;
      if (!here.length || myId === undefined) return messages;
      const ids = new Set(here.map(({ frame }) => frame.messageId));
      return messages.map((message) => {
        if (!ids.has(message.id)) return message;
        const changed = here.reduce((state, one) => applied(state, one, myId), message);
        if (changed !== message) confirmations.set(changed, message);
        return changed;
      });
    },
    answered(requestId) {
      const one = asked.get(requestId ?? "");
      if (!one) return false;
      drop(one);
      onChange(one.frame.conversationId);
      return true;
    },
    refused(frame) {
      const one = asked.get(frame.requestId ?? "");
      if (one) failed(one, failureIn(frame));
      return one !== undefined;
    },
    connected() {
      for (const one of asked.values()) deliver(one);
    },
    disconnected() {
      for (const { timer } of asked.values()) clearTimeout(timer);
    },
    forget(conversationId) {
      for (const one of asked.values()) if (one.frame.conversationId === conversationId) drop(one);
    },
    dispose() {
      for (const one of asked.values()) drop(one);
    },
  };
}

const LATE: Failure = { code: "TIMEOUT", message: "The gateway did not answer in time.", retryable: true };

/** Messages as the gateway has them, by those that show what is being done to them. */
const confirmations = new WeakMap<Message, Message>();

/** A message without what the gateway has not confirmed: what may be kept. */
export function confirmed(message: Message): Message {
  return confirmations.get(message) ?? message;
}

/** Whether what was asked before means nothing any more. */
function replaces(frame: ChangeFrame, before: ChangeFrame): boolean {
  if (before.messageId !== frame.messageId || before.conversationId !== frame.conversationId) return false;
  if (frame.type === "delete_message") return true;
  if ("emoji" in frame) return "emoji" in before && before.emoji === frame.emoji;
  return before.type === "edit_message";
}

function kindOf(frame: ChangeFrame): "edit" | "delete" | "reaction" {
  if (frame.type === "edit_message") return "edit";
  return frame.type === "delete_message" ? "delete" : "reaction";
}

function applied(message: Message, { frame, at }: Asked, myId: string): Message {
  if (message.id !== frame.messageId || message.isDeleted) return message;
  switch (frame.type) {
    case "edit_message":
      return edited(message, frame, at);
    case "delete_message": {
      const { attachments, reactions, mentions, mentionAll, ...rest } = message;
      return { ...rest, content: "", isDeleted: true };
    }
    case "add_reaction":
    case "remove_reaction":
      return reacted(message, frame.emoji, myId, frame.type === "add_reaction");
  }
}

function edited(message: Message, frame: EditMessage, at: string): Message {
  const { content, mentions, mentionAll } = frame;
  return {
    ...message,
    content,
    editedAt: content === message.content ? (message.editedAt ?? at) : at,
    ...(mentions && { mentions }),
    ...(mentionAll !== undefined && { mentionAll }),
  };
}

function reacted(message: Message, emoji: string, myId: string, isOn: boolean): Message {
  const before = message.reactions?.[emoji] ?? [];
  if (before.includes(myId) === isOn) return message;
  const { reactions: _, ...rest } = message;
  const users = isOn ? [...before, myId] : before.filter((id) => id !== myId);
  const reactions = { ...message.reactions, [emoji]: users };
  if (!users.length) delete reactions[emoji];
  return Object.keys(reactions).length ? { ...rest, reactions } : rest;
}
