import { lazy, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { may } from "../../lib/index.ts";
import { Composer } from "../composer/Composer.tsx";
import { faceOf, titleOf } from "../conversations/names.ts";
import { useActing } from "../messages/acting.ts";
import type { Target } from "../messages/jumping.ts";
import { MessageList } from "../messages/MessageList.tsx";
import { rowsOf } from "../messages/rows.ts";
import { Confirm } from "../parts/Confirm.tsx";
import { Drawer } from "../parts/Drawer.tsx";
import { Fetched } from "../parts/Fetched.tsx";
import { useMedia } from "../parts/media.ts";
import { useNewAfter } from "../reading/newAfter.ts";
import { SeenLine } from "../reading/SeenLine.tsx";
import { seenOf } from "../reading/seen.ts";
import { texts } from "../texts/index.ts";
import { reasonOf } from "../texts/reason.ts";
import { ThreadPanel } from "../threads/ThreadPanel.tsx";
import type { RoomView } from "../view.ts";
import { Announcer } from "./Announcer.tsx";
import { ClosedLine } from "./ClosedLine.tsx";
import { RoomHeader } from "./RoomHeader.tsx";
import { RoomMenu } from "./RoomMenu.tsx";
import { TypingLine } from "./TypingLine.tsx";

const AuditDialog = lazy(() => import("../audit/AuditDialog.tsx"));
const LevelDialog = lazy(() => import("../notifications/LevelDialog.tsx"));
const MembersPanel = lazy(() => import("../members/MembersPanel.tsx"));
const PinsDialog = lazy(() => import("../pins/PinsDialog.tsx"));
const ReadersDialog = lazy(() => import("../reading/ReadersDialog.tsx"));

/** Where there is room for the details beside the messages. */
const BESIDE = "(min-width: 72rem)";
/** Where a keyboard is likely, and none slides over the messages. */
const AT_A_DESK = "(min-width: 48rem) and (pointer: fine)";

/** What stands beside the messages. */
type Side = "details" | { thread: string } | null;

interface Props {
  room: RoomView;
  userId: string;
  /** A message to go to; `onJumped` is called when that is being done. */
  jump: Target | null;
  onJumped: () => void;
  /** To search in this conversation. */
  onSearch: () => void;
}

/** One conversation: what was said, what is being said, and who is there. */
export function Room(props: Props) {
  const { room, userId, jump, onJumped, onSearch } = props;
  const { conversation, members, messages, shown, actions } = room;
  const title = titleOf(conversation, userId, texts.conversations);
  const face = faceOf(conversation, userId);
  const [side, setSide] = useState<Side>(null);
  const isBeside = useMedia(BESIDE);
  const heading = useRef<HTMLHeadingElement>(null);
  const whole = useRef<HTMLDivElement>(null);
  const newAfter = useNewAfter(conversation, room.isLive);
  const { hasOlder } = room;
  const rows = useMemo(
    () => rowsOf(shown, { userId, newAfter, hasOlder }),
    [shown, userId, newAfter, hasOlder],
  );
  const isDetails = side === "details";
  const [failure, setFailure] = useState<string | null>(null);
  const { target, isGoing, onReached, goTo } = useJump(jump, onJumped, actions.openAt, setFailure);
  const jumpTo = useCallback((seq: number) => goTo({ seq }), [goTo]);
  const openThread = useCallback((thread: string) => setSide({ thread }), []);
  const { acts, said, ...writing } = useActing(room, userId, {
    messages: shown,
    jump: jumpTo,
    openThread,
    fail: setFailure,
  });
  const [asked, setAsked] = useState<"pins" | "audit" | "close" | "notifications" | null>(null);
  const endAsking = useCallback(() => setAsked(null), []);
  const attempt = (action: Promise<void>) => {
    setFailure(null);
    action.catch((error) => setFailure(texts.members.failed(reasonOf(error))));
  };
  const reopen = () => attempt(actions.setClosed(false));
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
  const closeSide = useCallback(() => setSide(null), []);

  useEffect(() => {
    const field = matchMedia(AT_A_DESK).matches ? whole.current?.querySelector("textarea") : null;
    (field ?? heading.current)?.focus();
  }, []);

  const { loadMembers, loadPins } = actions;
  useEffect(() => loadPins(), [loadPins]);
  useEffect(() => {
    if (isDetails) loadMembers();
  }, [isDetails, loadMembers]);
  const { areMembersLoaded } = room;
  const isMany = conversation.members.length < conversation.memberCount;
  useEffect(() => {
    // Not only the first few can be mentioned, and have names.
    if (isMany && !areMembersLoaded) loadMembers();
  }, [isMany, areMembersLoaded, loadMembers]);

  const panel =
    side === "details" ? (
      <Fetched onClose={closeSide}>
        <MembersPanel
          title={title}
          face={face}
          conversation={conversation}
          userId={userId}
          members={room.members}
          memberCount={conversation.memberCount}
          hasMore={room.hasMoreMembers}
          actions={actions}
          onClose={closeSide}
        />
      </Fetched>
    ) : (
      side && (
        <ThreadPanel
          key={side.thread}
          room={room}
          messageId={side.thread}
          userId={userId}
          onClose={closeSide}
        />
      )
    );
  return (
    <div ref={whole} className="flex min-h-0 min-w-0 flex-1">
      <div className="flex min-w-0 flex-1 flex-col">
        <RoomHeader
          title={title}
          subtitle={subtitleOf(conversation)}
          face={face}
          isPanelOpen={isDetails}
          headingRef={heading}
          onPanel={() => setSide(isDetails ? null : "details")}
          onSearch={onSearch}
        >
          <RoomMenu
            conversation={conversation}
            pinCount={room.pins.length}
            onPins={() => setAsked("pins")}
            onSettings={(settings) => attempt(actions.changeSettings(settings))}
            onNotifications={() => setAsked("notifications")}
            onClosing={() => setAsked("close")}
            onReopen={reopen}
            onAudit={() => setAsked("audit")}
          />
        </RoomHeader>
        <MessageList
          label={texts.messages.label(title)}
          rows={rows}
          userId={userId}
          acts={acts}
          hasOlder={hasOlder}
          loadOlder={actions.loadOlder}
          hasNewer={room.hasNewer}
          loadNewer={actions.loadNewer}
          onLive={actions.backToLive}
          target={target}
          isGoing={isGoing}
          onReached={onReached}
          newAfter={newAfter}
          said={said}
          below={below}
          onSeen={actions.seen}
          onRetry={actions.retry}
          onDiscard={actions.discard}
        />
        <TypingLine names={room.typingNames} />
        <p role="alert" className={failure ? "px-6 py-1 text-center text-danger text-sm" : "sr-only"}>
          {failure}
        </p>
        {may("send", conversation) ? (
          <Composer
            draft={writing.begun}
            title={title}
            people={writing.people}
            composing={writing.composing}
            onEndComposing={writing.endComposing}
            onEditLast={writing.editLast}
            onDraft={writing.keepDraft}
            onSend={writing.send}
            onTyping={actions.typing}
          />
        ) : (
          <ClosedLine onReopen={may("close", conversation) ? reopen : null} />
        )}
      </div>
      {side &&
        (isBeside ? (
          <aside className="w-88 shrink-0 border-line border-l bg-ground">{panel}</aside>
        ) : (
          <Drawer label={side === "details" ? texts.members.title : texts.threads.title} onClose={closeSide}>
            {panel}
          </Drawer>
        ))}
      <Fetched onClose={endAsking}>
        {asked === "pins" && (
          <PinsDialog
            pins={room.pins}
            mayUnpin={may("pin", conversation)}
            unpin={actions.unpin}
            onPick={(seq) => {
              setAsked(null);
              goTo({ seq });
            }}
            onClose={endAsking}
          />
        )}
        {asked === "notifications" && (
          <LevelDialog
            title={title}
            load={actions.loadNotificationLevel}
            save={actions.saveNotificationLevel}
            onClose={endAsking}
          />
        )}
        {asked === "audit" && (
          <AuditDialog load={actions.loadAudit} nameOf={acts.nameOf} onClose={endAsking} />
        )}
      </Fetched>
      {asked === "close" && (
        <Confirm
          title={texts.menuOfRoom.close}
          question={texts.menuOfRoom.confirmClose(title)}
          submit={texts.menuOfRoom.confirmCloseSubmit}
          action={() => actions.setClosed(true)}
          onClose={endAsking}
        />
      )}
      <Fetched onClose={() => setAsksReadersOf(null)}>
        {asksReadersOf !== null && (
          <ReadersDialog
            load={() => actions.loadReaders(asksReadersOf)}
            onClose={() => setAsksReadersOf(null)}
          />
        )}
      </Fetched>
      <Announcer messages={messages} userId={userId} />
    </div>
  );
}

/** Goes to the message that somebody came for, once it is here; `isGoing` until it is drawn, or cannot be had. */
function useJump(
  jump: Target | null,
  onJumped: () => void,
  openAt: RoomView["actions"]["openAt"],
  fail: (reason: string | null) => void,
) {
  const [going, setGoing] = useState(jump);
  const onReached = useCallback((to: Target) => setGoing((latest) => (latest === to ? null : latest)), []);
  const [target, setTarget] = useState<Target | null>(null);
  const goTo = useCallback(
    (wanted: Target) => {
      fail(null);
      setGoing(wanted);
      openAt(wanted.seq).then(
        (isShown) => (isShown ? setTarget(wanted) : onReached(wanted)),
        (error) => {
          onReached(wanted);
          fail(texts.members.failed(reasonOf(error)));
        },
      );
    },
    [openAt, onReached, fail],
  );
  useEffect(() => {
    if (!jump) return;
    onJumped();
    goTo(jump);
  }, [jump, onJumped, goTo]);
  return { target, isGoing: going !== null, onReached, goTo };
}

function subtitleOf({ type, memberCount }: RoomView["conversation"]): string {
  const kind = texts.conversations.kind[type];
  return type === "direct" ? kind : `${kind} · ${texts.members.list(memberCount)}`;
}
