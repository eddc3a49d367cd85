/** What people do with messages, where those are read and written. */
import { useCallback, useMemo, useRef, useState } from "react";
import { may } from "../../lib/index.ts";
import type { Mentions, People } from "../composer/mentions.ts";
import { texts } from "../texts/index.ts";
import { reasonOf } from "../texts/reason.ts";
import type { RoomView } from "../view.ts";
import type { Acts, Composing, Spoken } from "./rows.ts";

/** As the gateway has it. */
const MOST_PINS = 50;

interface Where {
  messages: readonly Spoken[];
  /** What everything that is written here replies to, unless it replies to something else. */
  replyTo?: string;
  jump?: (seq: number) => void;
  openThread?: (messageId: string) => void;
  /** Says what did not work, or with null that this is over. */
  fail: (reason: string | null) => void;
}

/** What the composer is about, and what the messages beside it offer. */
export function useActing(room: RoomView, userId: string, where: Where) {
  const { conversation, members, pins, actions } = room;
  const { type, role, closedAt } = conversation;
  const { messages, replyTo, jump = null, openThread = null, fail } = where;
  const [composing, setComposing] = useState<Composing | null>(null);
  const endComposing = useCallback(() => setComposing(null), []);
  const [said, setSaid] = useState(0); // messages that were sent from here and are seen at the end
  const nameOf = useNames(members, messages);
  const mayMentionAll = may("mention_all", { type, role, closedAt });
  const people = useMemo<People>(
    () => ({ members: members.filter((member) => member.userId !== userId), mayMentionAll }),
    [members, userId, mayMentionAll],
  );

  const acts = useMemo<Acts>(
    () => ({
      compose: setComposing,
      may: (action) => may(action, { type, role, closedAt }),
      isPinned: (message) => pins.some((pin) => pin.message.id === message.id),
      pin: ({ id }, isPinned) => {
        if (id === null) return;
        fail(null);
        if (isPinned && pins.length >= MOST_PINS) return fail(texts.pins.tooMany);
        const done = isPinned ? actions.pin(id) : actions.unpin(id);
        done.catch((error) => fail(texts.members.failed(reasonOf(error))));
      },
      nameOf,
      jump,
      openThread,
      react: ({ id }, emoji, isPresent) => id !== null && actions.react(id, emoji, isPresent),
      delete: ({ id }) => id !== null && actions.deleteMessage(id),
      // The browser may refuse, and has said so then.
      copy: ({ content }) => void navigator.clipboard.writeText(content).catch(() => undefined),
      loadEdits: async ({ id }) => (id === null ? [] : actions.loadEdits(id)),
    }),
    [actions, pins, type, role, closedAt, nameOf, jump, openThread, fail],
  );

  const send = useCallback(
    (content: string, { mentions, mentionAll }: Mentions) => {
      setComposing(null);
      const about = composing?.message;
      if (composing?.kind === "edit" && about?.id) {
        // Whom it mentioned and still does, also where they are not among those whom we know.
        const kept = about.mentions.filter((id) => content.includes(`@${nameOf(id)}`));
        const all = [...new Set([...mentions, ...kept])];
        const everybody = mentionAll === about.mentionAll ? {} : { mentionAll };
        actions.edit(about.id, content, { mentions: all, ...everybody });
        return;
      }
      const target = about?.id ?? replyTo;
      const isAtEnd = actions.send(content, {
        ...(target !== undefined && { replyTo: target }),
        ...(mentions.length > 0 && { mentions }),
        ...(mentionAll && { mentionAll }),
      });
      if (isAtEnd) setSaid((count) => count + 1);
    },
    [actions, composing, replyTo, nameOf],
  );
  const editLast = useCallback(() => {
    const last = messages.findLast((one) => one.senderId === userId && one.id !== null && !one.isDeleted);
    if (last) setComposing({ kind: "edit", message: last });
  }, [messages, userId]);
  return { acts, people, composing, endComposing, send, said, editLast };
}

interface Named {
  userId: string;
  userName: string;
}

/** Names of whoever is or was here; another function only when a name is new. */
function useNames(members: readonly Named[], messages: readonly Spoken[]): (userId: string) => string {
  const known = useRef<ReadonlyMap<string, string>>(new Map());
  const names = useMemo(() => {
    const next = new Map(known.current);
    for (const { senderId, senderName } of messages) if (senderName) next.set(senderId, senderName);
    for (const { userId, userName } of members) next.set(userId, userName);
    const isNews = [...next].some(([id, name]) => known.current.get(id) !== name);
    if (isNews) known.current = next;
    return known.current;
  }, [members, messages]);
  return useCallback((userId) => names.get(userId) ?? texts.messages.unknownSender, [names]);
}
