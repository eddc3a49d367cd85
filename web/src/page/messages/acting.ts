/** What people do with messages, where those are read and written. */
import { useCallback, useMemo, useRef, useState } from "react";
import { type Draft, may } from "../../lib/index.ts";
import type { Mentions, People } from "../composer/mentions.ts";
import { texts } from "../texts/index.ts";
import { reasonOf } from "../texts/reason.ts";
import type { RoomView } from "../view.ts";
import type { Acts, Composing, Spoken } from "./rows.ts";

/** As the gateway has it. */
const MOST_PINS = 50;
const NOT_BEGUN: Draft = { text: "", reply: null };

interface Where {
  messages: readonly Spoken[];
  /** The thread that this is: what everything written here replies to, unless it replies to something else. */
  threadId?: string;
  jump?: (seq: number) => void;
  openThread?: (messageId: string) => void;
  /** Says what did not work, or with null that this is over. */
  fail: (reason: string | null) => void;
}

/** What the composer is about, and what the messages beside it offer. */
export function useActing(room: RoomView, userId: string, where: Where) {
  const { conversation, pins, actions } = room;
  const { type, role, closedAt } = conversation;
  const { messages, threadId, jump = null, openThread = null, fail } = where;
  const draft = threadId === undefined ? room.draft : (room.threadDrafts[threadId] ?? NOT_BEGUN);
  const { composing, compose, endComposing, keepDraft } = useComposing(actions, draft, threadId);
  const [said, setSaid] = useState(0); // messages that were sent from here and are seen at the end
  const { members, look } = useMembers(room);
  const nameOf = useNames(members, messages);
  const mayMentionAll = may("mention_all", { type, role, closedAt });
  const people = useMemo<People>(
    () => ({ members: members.filter((member) => member.userId !== userId), mayMentionAll, look }),
    [members, userId, mayMentionAll, look],
  );

  const acts = useMemo<Acts>(
    () => ({
      compose,
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
    [actions, compose, pins, type, role, closedAt, nameOf, jump, openThread, fail],
  );

  const send = useCallback(
    (content: string, { mentions, mentionAll }: Mentions) => {
      const about = composing?.kind === "edit" ? composing.message : null;
      if (about?.id) {
        // Whom it mentioned and still does, also where they are not among those whom we know.
        const kept = about.mentions.filter((id) => content.includes(`@${nameOf(id)}`));
        const all = [...new Set([...mentions, ...kept])];
        const everybody = mentionAll === about.mentionAll ? {} : { mentionAll };
        actions.edit(about.id, content, { mentions: all, ...everybody });
        endComposing();
        return;
      }
      const target = composing?.kind === "reply" ? composing.to.messageId : threadId;
      const isAtEnd = actions.send(content, {
        ...(target !== undefined && { replyTo: target }),
        ...(mentions.length > 0 && { mentions }),
        ...(mentionAll && { mentionAll }),
      });
      if (isAtEnd) setSaid((count) => count + 1);
      endComposing();
    },
    [actions, composing, endComposing, threadId, nameOf],
  );
  const editLast = useCallback(() => {
    const last = messages.findLast((one) => one.senderId === userId && one.id !== null && !one.isDeleted);
    if (last) compose({ kind: "edit", message: last });
  }, [compose, messages, userId]);
  const begun = draft.text;
  return { acts, people, begun, keepDraft, composing, endComposing, send, said, editLast };
}

/** What the composer is about: an edit while that lasts, and else what the draft replies to, which is kept with it. */
function useComposing(actions: RoomView["actions"], { reply }: Draft, threadId: string | undefined) {
  const [chosen, setChosen] = useState<Composing | null>(null);
  const kept = useMemo<Composing | null>(() => reply && { kind: "reply", to: reply }, [reply]);
  const keepDraft = useCallback(
    (draft: string | Partial<Draft>) => actions.keepDraft(draft, threadId),
    [actions, threadId],
  );
  const compose = useCallback(
    (wanted: Composing) => {
      setChosen(wanted);
      if (wanted.kind === "reply") keepDraft({ reply: wanted.to });
    },
    [keepDraft],
  );
  const isEdit = chosen?.kind === "edit";
  const endComposing = useCallback(() => {
    setChosen(null);
    if (!isEdit) keepDraft({ reply: null });
  }, [isEdit, keepDraft]);
  return { composing: chosen ?? kept, compose, endComposing, keepDraft };
}

/** The members that are loaded, and of the others those who were looked for. */
function useMembers({ members, hasMoreMembers, actions }: RoomView) {
  const { searchMembers } = actions;
  const [found, setFound] = useState<readonly Named[]>([]);
  const asked = useRef<ReadonlySet<string>>(new Set());
  const look = useCallback(
    (words: readonly string[]) => {
      const news = words.filter((word) => !asked.current.has(word));
      asked.current = new Set(words);
      for (const word of news)
        searchMembers(word).then(
          (people) => setFound((before) => [...before, ...without(people, before)]),
          () => undefined, // the banner says what is wrong
        );
    },
    [searchMembers],
  );
  const all = useMemo(() => [...members, ...without(found, members)], [members, found]);
  return { members: all, look: hasMoreMembers ? look : null };
}

function without(people: readonly Named[], others: readonly Named[]): readonly Named[] {
  const ids = new Set(others.map(({ userId }) => userId));
  return people.filter(({ userId }) => !ids.has(userId));
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
