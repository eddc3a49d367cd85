/** Changes of stored messages that this person asked for, until the gateway has answered. A reaction shows at once. */
import { ChatError } from "./errors.ts";
import type {
  AddReaction,
  ClientFrame,
  DeleteMessage,
  EditMessage,
  Message,
  RemoveReaction,
} from "./frames.ts";
import type { Failure } from "./types.ts";

type Ask = (AddReaction | RemoveReaction | EditMessage | DeleteMessage) & { requestId?: string };
interface Waiting {
  resolve(): void;
  reject(error: ChatError): void;
}

export interface Changing {
  edit(conversationId: string, messageId: string, content: string): Promise<void>;
  remove(conversationId: string, messageId: string): Promise<void>;
  react(conversationId: string, messageId: string, emoji: string, isPresent: boolean): Promise<void>;
  /** `message_updated` came with this `requestId`. */
  done(requestId: string | undefined): void;
  /** An error frame did; returns whether it answers one of these. */
  refused(requestId: string, failure: Failure): boolean;
  /** Nobody answers any more; whether it was done shows in the messages after the next join. */
  disconnected(): void;
}

export interface Surface {
  send(frame: ClientFrame): boolean;
  /** Whoever reacts. */
  myId(): string | null;
  /** The message as it is shown now. */
  find(conversationId: string, messageId: string): Message | undefined;
  show(message: Message): void;
}

export function createChanging(surface: Surface): Changing {
  const waiting = new Map<string, Waiting>();
  let requests = 0;

  function ask(frame: Ask): Promise<void> {
    const requestId = `change-${++requests}`;
    return new Promise((resolve, reject) => {
      waiting.set(requestId, { resolve, reject });
      if (!surface.send({ ...frame, requestId })) settle(requestId)?.reject(unreachable());
    });
  }

  function settle(requestId: string): Waiting | undefined {
    const found = waiting.get(requestId);
    waiting.delete(requestId);
    return found;
  }

  return {
    edit: (conversationId, messageId, content) =>
      ask({ type: "edit_message", conversationId, messageId, content }),
    remove: (conversationId, messageId) => ask({ type: "delete_message", conversationId, messageId }),
    async react(conversationId, messageId, emoji, isPresent) {
      const me = surface.myId();
      const before = surface.find(conversationId, messageId);
      if (before && me) surface.show(withReaction(before, emoji, me, isPresent));
      const type = isPresent ? "add_reaction" : "remove_reaction";
      try {
        await ask({ type, conversationId, messageId, emoji });
      } catch (error) {
        const now = surface.find(conversationId, messageId);
        // Unless the gateway has said meanwhile how it is.
        if (now && me && now.changeSeq === before?.changeSeq)
          surface.show(withReaction(now, emoji, me, !isPresent));
        throw error;
      }
    },
    done(requestId) {
      if (requestId !== undefined) settle(requestId)?.resolve();
    },
    refused(requestId, failure) {
      const found = settle(requestId);
      found?.reject(new ChatError(failure));
      return found !== undefined;
    },
    disconnected() {
      for (const requestId of [...waiting.keys()]) settle(requestId)?.reject(unreachable());
    },
  };
}

/** The same message with one person's reaction, or without it. */
export function withReaction(message: Message, emoji: string, userId: string, isPresent: boolean): Message {
  const { reactions = {}, ...rest } = message;
  const others = (reactions[emoji] ?? []).filter((id) => id !== userId);
  const people = isPresent ? [...others, userId] : others;
  const next = { ...reactions, [emoji]: people };
  if (people.length === 0) delete next[emoji];
  return Object.keys(next).length ? { ...rest, reactions: next } : rest;
}

function unreachable(): ChatError {
  return new ChatError({ code: "NETWORK", message: "There is no connection.", retryable: true });
}
