import { useCallback, useEffect, useMemo, useState } from "react";
import type { Chat as Store } from "../lib/index.ts";
import { ChatProvider } from "../lib/react.ts";
import { AccountMenu } from "./account/AccountMenu.tsx";
import { openConversation, useOpenConversation } from "./address.ts";
import { ConnectionBanner } from "./connection/ConnectionBanner.tsx";
import { ConversationList } from "./conversations/ConversationList.tsx";
import { NewConversation, type Wanted } from "./conversations/NewConversation.tsx";
import { useNotices } from "./notifications/notices.ts";
import { Toasts } from "./notifications/Toasts.tsx";
import { Nowhere } from "./room/Nowhere.tsx";
import { Removed } from "./room/Removed.tsx";
import { Room } from "./room/Room.tsx";
import type { Session } from "./signin/session.ts";
import { texts } from "./texts/index.ts";
import { bannerOf, listedOf, needsSignIn, useChat, useChatState, useRoom } from "./view.ts";

interface Props {
  session: Session;
  onSignOut: (why: string | null) => void;
}

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
  const { items, hasMore, isLoaded, isLoading } = state.conversations;
  const listed = useMemo(() => items.map((one) => listedOf(one, userId)), [items, userId]);
  const isRefused = needsSignIn(state);

  useEffect(() => {
    if (isRefused) onSignOut(texts.signIn.refused);
  }, [isRefused, onSignOut]);
  const signOut = useCallback(() => {
    void chat.signOut().finally(() => onSignOut(null));
  }, [chat, onSignOut]);
  // What fails here is tried again when the connection is back, and the banner says what is wrong.
  const loadMore = useCallback(() => void chat.loadMoreConversations().catch(() => undefined), [chat]);
  const create = async (wanted: Wanted) => {
    const { id } = await chat.createConversation(wanted);
    openConversation(id);
    setCreating(false);
  };
  const open = listed.find((item) => item.id === openId);
  useTitle(
    open?.title ?? null,
    items.reduce((sum, one) => sum + one.unreadCount, 0),
  );

  return (
    <div className="flex h-full flex-col">
      <ConnectionBanner banner={bannerOf(state)} onRetry={() => chat.connect()} />
      <main className="flex min-h-0 flex-1">
        <div
          className={`w-80 shrink-0 border-line border-r bg-ground max-md:w-full max-md:border-0 ${openId ? "max-md:hidden" : ""}`}
        >
          <ConversationList
            items={listed}
            drafts={state.rooms}
            currentId={openId}
            isLoaded={isLoaded}
            isLoading={isLoading}
            hasMore={hasMore}
            onMore={loadMore}
            onNew={() => setCreating(true)}
          >
            <AccountMenu
              userId={userId}
              userName={userName}
              presence={state.myPresence ?? "online"}
              onPresence={chat.setPresence}
              onSignOut={signOut}
            />
          </ConversationList>
        </div>
        <section
          aria-label={open?.title ?? texts.appName}
          className={`flex min-w-0 flex-1 bg-surface ${openId ? "" : "max-md:hidden"}`}
        >
          {room.kind === "none" && <Nowhere />}
          {room.kind === "loading" && <p className="sr-only">{texts.loading}</p>}
          {room.kind === "gone" && <Removed />}
          {room.kind === "open" && <Room key={openId} room={room} userId={userId} />}
        </section>
      </main>
      {isCreating && (
        <NewConversation
          userId={userId}
          search={(query) => chat.searchPeople(query)}
          create={create}
          onClose={() => setCreating(false)}
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
