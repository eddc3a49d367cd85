import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { useAttention } from "../attention.ts";
import { Composer } from "../composer/Composer.tsx";
import { faceOf, titleOf } from "../conversations/names.ts";
import { MembersPanel } from "../members/MembersPanel.tsx";
import { MessageList } from "../messages/MessageList.tsx";
import { rowsOf } from "../messages/rows.ts";
import { Drawer } from "../parts/Drawer.tsx";
import { useMedia } from "../parts/media.ts";
import { texts } from "../texts/index.ts";
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
  const { conversation, messages, actions } = room;
  const title = titleOf(conversation, userId, texts.conversations);
  const face = faceOf(conversation, userId);
  const [isPanelOpen, setPanelOpen] = useState(false);
  const isBeside = useMedia(BESIDE);
  const heading = useRef<HTMLHeadingElement>(null);
  const whole = useRef<HTMLDivElement>(null);
  const newAfter = useNewAfter(room);
  const { hasOlder } = room;
  const rows = useMemo(
    () => rowsOf(messages, { userId, newAfter, hasOlder }),
    [messages, userId, newAfter, hasOlder],
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
          hasOlder={hasOlder}
          loadOlder={actions.loadOlder}
          onSeen={actions.seen}
          onRetry={actions.retry}
          onDiscard={actions.discard}
        />
        <TypingLine names={room.typingNames} />
        <Composer
          draft={room.draft}
          title={title}
          onDraft={actions.keepDraft}
          onSend={actions.send}
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
      <Announcer messages={messages} userId={userId} />
    </div>
  );
}

function subtitleOf({ type, memberCount }: RoomView["conversation"]): string {
  const kind = texts.conversations.kind[type];
  return type === "direct" ? kind : `${kind} · ${texts.members.list(memberCount)}`;
}

/** Where the new messages began: fixed when the conversation is opened, and again when the person turns away. */
function useNewAfter({ conversation }: RoomView): number | null {
  const { lastReadSeq, unreadCount } = conversation;
  const [newAfter, setNewAfter] = useState(unreadCount > 0 ? lastReadSeq : null);
  const seen = useRef(lastReadSeq);
  useEffect(() => {
    seen.current = lastReadSeq;
  }, [lastReadSeq]);
  useAttention(useCallback((isThere: boolean) => !isThere && setNewAfter(seen.current), []));
  return newAfter;
}
