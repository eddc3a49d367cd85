/** Of which messages somebody wants to be told, where these come live: of all others the gateway knows by itself. */
import type { Chat, Conversation, Message, NotificationLevel } from "../../lib/index.ts";

type Source = Pick<Chat, "loadNotificationLevel" | "loadNotificationSettings">;

export interface Levels {
  /** Whether this person wants to be told of a message; as `services/notifier/recipients.py` says it. */
  mayTell(message: Message, userId: string, conversation: Conversation | undefined): Promise<boolean>;
  /** They may be changed from now on, here or elsewhere. */
  forget(): void;
}

export function createLevels(chat: Source): Levels {
  const known = new Map<string, Promise<NotificationLevel>>();

  function levelOf(conversationId: string): Promise<NotificationLevel> {
    const level = known.get(conversationId) ?? ask(conversationId);
    known.set(conversationId, level);
    return level;
  }

  async function ask(conversationId: string): Promise<NotificationLevel> {
    try {
      const own = await chat.loadNotificationLevel(conversationId);
      return own ?? (await chat.loadNotificationSettings()).level;
    } catch {
      known.delete(conversationId);
      return "all"; // better told too much than nothing
    }
  }

  return {
    async mayTell(message, userId, conversation) {
      const level = await levelOf(message.conversationId);
      if (level === "nothing") return false;
      return (level === "all" && !conversation?.isMuted) || isMentioned(message, userId);
    },
    forget: () => known.clear(),
  };
}

const isMentioned = ({ mentions = [], mentionAll }: Message, userId: string) =>
  mentionAll === true || mentions.includes(userId);
