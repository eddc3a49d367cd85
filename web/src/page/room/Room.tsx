import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { Composer } from "../composer/Composer.tsx";
import { faceOf, titleOf } from "../conversations/names.ts";
import { MembersPanel } from "../members/MembersPanel.tsx";
import { MessageList } from "../messages/MessageList.tsx";
import { type Acts, type Composing, rowsOf } from "../messages/rows.ts";
import { Drawer } from "../parts/Drawer.tsx";
import { useMedia } from "../parts/media.ts";
import { useNewAfter } from "../reading/newAfter.ts";
import { ReadersDialog } from "../reading/ReadersDialog.tsx";
import { SeenLine } from "../reading/SeenLine.tsx";
import { seenOf } from "../reading/seen.ts";
import { texts } from "../texts/index.ts";
import { reasonOf } from "../texts/reason.ts";
import type { RoomView } from "../view.ts";
import { Announcer } from "./Announcer.tsx";
import { RoomHeader } from "./RoomHeader.tsx";
import { TypingLine } from "./TypingLine.tsx";

/** Where there is room for the details beside the messages. */
const BESIDE = "(min-width: 72rem)";
/** Where a keyboard is likely, and none slides over the messages. */
const AT_A_DESK = "(min-width: 48rem) and (pointer: fine)";

/** One conversation: what was said, what is being said, and who is there. */
export function Room({ room, userId }: { room: RoomView; userId: string }) {
  const { conversation, members, messages, actions } = room;
  const title = titleOf(conversation, userId, texts.conversations);
  const face = faceOf(conversation, userId);
  const [isPanelOpen, setPanelOpen] = useState(false);
  const isBeside = useMedia(BESIDE);
  const heading = useRef<HTMLHeadingElement>(null);
  const whole = useRef<HTMLDivElement>(null);
  const newAfter = useNewAfter(conversation, room.isLive);
  const { hasOlder } = room;
  const rows = useMemo(
    () => rowsOf(messages, { userId, newAfter, hasOlder }),
    [messages, userId, newAfter, hasOlder],
  );
  const [composing, setComposing] = useState<Composing | null>(null);
  const [failure, setFailure] = useState<string | null>(null);
  const acts = useActs(room, userId, setComposing, setFailure);
  const endComposing = useCallback(() => setComposing(null), []);
  const send = useCallback(
    (content: string) => {
      setComposing(null);
      const about = composing?.message.id;
      if (composing?.kind === "edit" && about) {
        setFailure(null);
        actions.edit(about, content).catch((error) => setFailure(texts.members.failed(reasonOf(error))));
      } else actions.send(content, about ?? undefined);
    },
    [actions, composing],
  );
  const editLast = useCallback(() => {
    const mine = messages.findLast((one) => one.senderId === userId && one.id !== null && !one.isDeleted);
    if (mine) setComposing({ kind: "edit", message: mine });
  }, [messages, userId]);
  const [asksReadersOf, setAsksReadersOf] = useState<string | null>(null);
  const seen = useMemo(
    () => seenOf(conversation, members, messages, userId),
    [conversation, members, messages, userId],
  );
  const below = useMemo(
    () =>
      seen && {
        key: seen.key,
        content: <SeenLine seen={seen} onOpen={() => setAsksReadersOf(seen.id)} />,
      },
    [seen],
  );
  const closePanel = useCallback(() => setPanelOpen(false), []);

  useEffect(() => {
    const field = matchMedia(AT_A_DESK).matches ? whole.current?.querySelector("textarea") : null;
    (field ?? heading.current)?.focus();
  }, []);

  const { loadMembers } = actions;
  useEffect(() => {
    if (isPanelOpen) loadMembers();
  }, [isPanelOpen, loadMembers]);

  const panel = (
    <MembersPanel
      title={title}
      face={face}
      type={conversation.type}
      createdAt={new Date(conversation.createdAt)}
      userId={userId}
      members={room.members}
      memberCount={conversation.memberCount}
      hasMore={room.hasMoreMembers}
      actions={actions}
      onClose={closePanel}
    />
  );
  return (
    <div ref={whole} className="flex min-h-0 min-w-0 flex-1">
      <div className="flex min-w-0 flex-1 flex-col">
        <RoomHeader
          title={title}
          subtitle={subtitleOf(conversation)}
          face={face}
          isPanelOpen={isPanelOpen}
          headingRef={heading}
          onPanel={() => setPanelOpen(!isPanelOpen)}
        />
        <MessageList
          label={texts.messages.label(title)}
          rows={rows}
          userId={userId}
          acts={acts}
          hasOlder={hasOlder}
          loadOlder={actions.loadOlder}
          newAfter={newAfter}
          below={below}
          onSeen={actions.seen}
          onRetry={actions.retry}
          onDiscard={actions.discard}
        />
        <p role="alert" className={failure ? "px-6 py-1 text-center text-danger text-sm" : "sr-only"}>
          {failure}
        </p>
        <TypingLine names={room.typingNames} />
        <Composer
          draft={room.draft}
          title={title}
          composing={composing}
          onEndComposing={endComposing}
          onEditLast={editLast}
          onDraft={actions.keepDraft}
          onSend={send}
          onTyping={actions.typing}
        />
      </div>
      {isPanelOpen &&
        (isBeside ? (
          <aside className="w-88 shrink-0 border-line border-l bg-ground">{panel}</aside>
        ) : (
          <Drawer label={texts.members.title} onClose={closePanel}>
            {panel}
          </Drawer>
        ))}
      {asksReadersOf !== null && (
        <ReadersDialog
          load={() => actions.loadReaders(asksReadersOf)}
          onClose={() => setAsksReadersOf(null)}
        />
      )}
      <Announcer messages={messages} userId={userId} />
    </div>
  );
}

/** What can be done with messages here; the same functions as long as the same can be done. */
function useActs(
  { conversation, members, actions }: RoomView,
  userId: string,
  compose: (composing: Composing) => void,
  fail: (reason: string | null) => void,
): Acts {
  const mine = members.find((member) => member.userId === userId);
  const mayDeleteAny = conversation.type !== "direct" && mine?.role === "admin";
  return useMemo(
    () => ({
      compose,
      mayDeleteAny,
      nameOf: (id) => members.find((member) => member.userId === id)?.userName ?? id,
      react: (message, emoji, isPresent) => {
        if (message.id === null) return;
        fail(null);
        actions
          .react(message.id, emoji, isPresent)
          .catch((error) => fail(texts.members.failed(reasonOf(error))));
      },
      delete: async (message) => {
        if (message.id !== null) await actions.deleteMessage(message.id);
      },
    }),
    [actions, members, mayDeleteAny, compose, fail],
  );
}

function subtitleOf({ type, memberCount }: RoomView["conversation"]): string {
  const kind = texts.conversations.kind[type];
  return type === "direct" ? kind : `${kind} · ${texts.members.list(memberCount)}`;
}
