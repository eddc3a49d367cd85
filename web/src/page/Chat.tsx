import { lazy, useCallback, useEffect, useState } from "react";
import type { Chat as Store } from "../lib/index.ts";
import { ChatProvider } from "../lib/react.ts";
import { AccountMenu } from "./account/AccountMenu.tsx";
import { openConversation, useOpenConversation } from "./address.ts";
import { ConnectionBanner } from "./connection/ConnectionBanner.tsx";
import { ConversationList } from "./conversations/ConversationList.tsx";
import type { Wanted } from "./conversations/NewConversation.tsx";
import type { Target } from "./messages/jumping.ts";
import { useNotices } from "./notifications/notices.ts";
import { usePush, useWithdrawal } from "./notifications/push.ts";
import { Toasts } from "./notifications/Toasts.tsx";
import { Confirm } from "./parts/Confirm.tsx";
import { Fetched } from "./parts/Fetched.tsx";
import { Nowhere } from "./room/Nowhere.tsx";
import { Room } from "./room/Room.tsx";
import type { Session } from "./signin/session.ts";
import { texts } from "./texts/index.ts";
import { bannerOf, hasUnsent, signInAgain, useChat, useChatState, useListed, useRoom } from "./view.ts";

// What a first visit does not show is fetched when it is asked for.
const ChannelsDialog = lazy(() => import("./channels/ChannelsDialog.tsx"));
const NewConversation = lazy(() => import("./conversations/NewConversation.tsx"));
const NotificationsDialog = lazy(() => import("./notifications/NotificationsDialog.tsx"));
const Removed = lazy(() => import("./room/Removed.tsx"));
const SearchPanel = lazy(() => import("./search/SearchPanel.tsx"));
const SettingsDialog = lazy(() => import("./notifications/SettingsDialog.tsx"));

interface Props {
  session: Session;
  onSignOut: (why: string | null) => void;
}

/** Where the list and a conversation stand beside each other. */
const SIDE_BY_SIDE = "(min-width: 48rem)";

/** The page of somebody who is signed in. */
export function Chat({ session, onSignOut }: Props) {
  const chat = useChat(session);
  return (
    chat && (
      <ChatProvider chat={chat}>
        <Conversations chat={chat} session={session} onSignOut={onSignOut} />
      </ChatProvider>
    )
  );
}

/** The conversations on one side, the open one on the other. On a phone they take turns. */
function Conversations({ chat, session, onSignOut }: Props & { chat: Store }) {
  const { userId, userName } = session;
  const state = useChatState(chat);
  const openId = useOpenConversation();
  const room = useRoom(chat, state, openId, userId);
  const { toasts, close } = useNotices(chat, userId, openId);
  const [isCreating, setCreating] = useState(false);
  const { items, hasMore, isLoaded, isLoading, failure } = state.conversations;
  const listed = useListed(state, userId);
  const why = signInAgain(state);

  useEffect(() => {
    if (why !== null) onSignOut(why);
  }, [why, onSignOut]);
  const device = usePush(session);
  const { forget } = device;
  useWithdrawal(items, device.withdraw);
  const [asksToSignOut, setAsksToSignOut] = useState(false);
  const [isSigningOut, setSigningOut] = useState(false);
  const signOut = async () => {
    setSigningOut(true);
    try {
      // A device that cannot be given up now belongs to whoever signs in here next.
      await forget().catch(() => undefined);
      await chat.signOut();
    } finally {
      onSignOut(null);
    }
  };
  useEffect(() => void chat.loadNotifications().catch(() => undefined), [chat]);
  // What fails here is tried again in a while or when the connection is back, and the banner says what is wrong.
  const loadMore = useCallback(() => void chat.loadMoreConversations().catch(() => undefined), [chat]);
  const loadArchived = useCallback(() => void chat.loadArchived().catch(() => undefined), [chat]);
  const create = async (wanted: Wanted) => {
    const { id } = await chat.createConversation(wanted);
    openConversation(id);
    setCreating(false);
  };
  const [isBrowsing, setBrowsing] = useState(false);
  const [told, setTold] = useState<"list" | "settings" | null>(null);
  const endTold = useCallback(() => setTold(null), []);
  const [search, setSearch] = useState<{ id: string | null } | null>(null);
  const [jump, setJump] = useState<(Target & { conversationId: string }) | null>(null);
  const endJump = useCallback(() => setJump(null), []);
  const searchIn = useCallback((id: string | null) => {
    setSearch({ id });
    // Where there is room for one of both only, that is the search.
    if (!matchMedia(SIDE_BY_SIDE).matches) openConversation(null);
  }, []);
  const goTo = useCallback((conversationId: string, seq: number) => {
    setJump({ conversationId, seq });
    openConversation(conversationId);
  }, []);
  const titleOf = (id: string | null) => listed.find((item) => item.id === id)?.title ?? null;
  const hereId = search?.id ?? openId;
  const hereTitle = titleOf(hereId);
  const open = listed.find((item) => item.id === openId);
  useTitle(
    open?.title ?? null,
    items.reduce((sum, one) => sum + (one.isMuted || one.isArchived ? 0 : one.unreadCount), 0),
  );

  return (
    <div className="flex h-full flex-col">
      <ConnectionBanner banner={bannerOf(state)} onRetry={() => chat.connect()} />
      <main className="flex min-h-0 flex-1">
        <div
          className={`w-80 shrink-0 border-line border-r bg-ground max-md:w-full max-md:border-0 ${openId ? "max-md:hidden" : ""}`}
        >
          {search && (
            <Fetched onClose={() => setSearch(null)}>
              <SearchPanel
                key={search.id}
                search={chat.search}
                searchPeople={chat.searchPeople}
                here={hereId !== null && hereTitle !== null ? { id: hereId, title: hereTitle } : null}
                startsHere={search.id !== null}
                titleOf={titleOf}
                onPick={({ conversationId, message }) => goTo(conversationId, message.seq)}
                onClose={() => setSearch(null)}
              />
            </Fetched>
          )}
          <div hidden={search !== null} className="h-full">
            <ConversationList
              items={listed}
              drafts={state.rooms}
              currentId={openId}
              isLoaded={isLoaded}
              isLoading={isLoading}
              hasFailed={failure !== null}
              hasMore={hasMore}
              onMore={loadMore}
              onNew={() => setCreating(true)}
              onSearch={() => searchIn(null)}
              onChannels={() => setBrowsing(true)}
              onNotifications={() => setTold("list")}
              unreadNotifications={state.notifications.unreadCount}
              onArchive={loadArchived}
              hasMoreArchived={state.conversations.hasMoreArchived}
            >
              <AccountMenu
                userId={userId}
                userName={userName}
                presence={state.myPresence ?? "online"}
                onPresence={chat.setPresence}
                onNotificationSettings={() => setTold("settings")}
                asksToSignOut={hasUnsent(state)}
                isSigningOut={isSigningOut}
                onSignOut={() => (hasUnsent(state) ? setAsksToSignOut(true) : void signOut())}
              />
            </ConversationList>
          </div>
        </div>
        <section
          aria-label={open?.title ?? texts.appName}
          className={`flex min-w-0 flex-1 bg-surface ${openId ? "" : "max-md:hidden"}`}
        >
          {room.kind === "none" && <Nowhere />}
          {room.kind === "loading" && <p className="sr-only">{texts.loading}</p>}
          {room.kind === "gone" && (
            <Fetched onClose={() => openConversation(null)}>
              <Removed reason={room.reason} unsent={room.unsent} onDiscard={room.discard} />
            </Fetched>
          )}
          {room.kind === "open" && (
            <Room
              key={openId}
              room={room}
              userId={userId}
              jump={jump?.conversationId === openId ? jump : null}
              onJumped={endJump}
              onSearch={() => searchIn(openId)}
            />
          )}
        </section>
      </main>
      <Fetched onClose={() => setBrowsing(false)}>
        {isBrowsing && (
          <ChannelsDialog
            find={chat.findChannels}
            join={chat.joinChannel}
            onOpen={(id) => {
              setBrowsing(false);
              openConversation(id);
            }}
            onClose={() => setBrowsing(false)}
          />
        )}
      </Fetched>
      <Fetched onClose={endTold}>
        {told === "list" && (
          <NotificationsDialog
            list={state.notifications}
            more={chat.loadNotifications}
            readAll={chat.readNotifications}
            titleOf={titleOf}
            onPick={({ conversationId, seq }) => {
              endTold();
              if (seq != null) goTo(conversationId, seq);
              else openConversation(conversationId);
            }}
            onClose={endTold}
          />
        )}
        {told === "settings" && (
          <SettingsDialog
            load={chat.loadNotificationSettings}
            save={chat.saveNotificationSettings}
            loadMails={chat.loadMails}
            saveMails={chat.saveMails}
            device={device}
            onClose={endTold}
          />
        )}
      </Fetched>
      <Fetched onClose={() => setCreating(false)}>
        {isCreating && (
          <NewConversation
            userId={userId}
            search={chat.searchPeople}
            create={create}
            onClose={() => setCreating(false)}
          />
        )}
      </Fetched>
      {asksToSignOut && (
        <Confirm
          title={texts.signIn.signOut}
          question={texts.signIn.confirmSignOut}
          submit={isSigningOut ? texts.signIn.signingOut : texts.signIn.signOut}
          action={signOut}
          onClose={() => setAsksToSignOut(false)}
        />
      )}
      <Toasts toasts={toasts} items={listed} onClose={close} />
    </div>
  );
}

/** How much is unread is written in the title, for whoever looks at another tab. */
function useTitle(conversation: string | null, unread: number): void {
  useEffect(() => {
    const count = unread > 0 ? `(${unread > 99 ? "99+" : unread}) ` : "";
    document.title = `${count}${conversation ? `${conversation} · ` : ""}${texts.appName}`;
  }, [conversation, unread]);
}
