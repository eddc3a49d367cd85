/** Tells about what happens where the person is not looking: on the page, or on the device. */
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import type { Chat, ChatEvent, Message, Notification } from "../../lib/index.ts";
import { openConversation } from "../address.ts";
import { isAttentive } from "../attention.ts";
import { titleOf } from "../conversations/names.ts";
import { plainText } from "../messages/markdown.ts";
import { texts } from "../texts/index.ts";
import { refusalOf } from "../texts/reason.ts";
import { notifyDevice } from "./permission.ts";
import type { Toast } from "./Toasts.tsx";

const MOST = 3;
const LENGTH = 200;
const words = texts.notifications;

/** `openId`: the conversation that the person looks at, of which nothing needs to be told. */
export function useNotices(chat: Chat, userId: string, openId: string | null) {
  const [toasts, setToasts] = useState<Toast[]>([]);
  const count = useRef(0);

  useEffect(
    () =>
      chat.listen((event) => {
        const notice = noticeOf(event, chat, userId);
        if (!notice) return;
        const { conversationId, title, body } = notice;
        if (event.type !== "change_failed")
          notifyDevice({ title, body, tag: conversationId, onOpen: () => openConversation(conversationId) });
        if (event.type === "message") return;
        count.current += 1;
        const toast = { ...notice, id: String(count.current) };
        // One for each conversation: what came last.
        setToasts((shown) =>
          [...shown.filter((one) => one.conversationId !== conversationId), toast].slice(-MOST),
        );
      }),
    [chat, userId],
  );

  const close = useCallback(
    (id: string) => setToasts((shown) => shown.filter((toast) => toast.id !== id)),
    [],
  );
  const shown = useMemo(() => without(toasts, openId), [toasts, openId]);
  useEffect(() => {
    // What was looked at does not come back when the person goes elsewhere.
    if (shown !== toasts) setToasts((all) => without(all, openId));
  }, [shown, toasts, openId]);
  return { toasts: shown, close };
}

/** Without those of a conversation that the person looks at; the same where there are none. */
function without(toasts: Toast[], openId: string | null): Toast[] {
  const rest = toasts.filter((toast) => toast.isAlways || toast.conversationId !== openId);
  return rest.length < toasts.length ? rest : toasts;
}

type Notice = Omit<Toast, "id">;

function noticeOf(event: ChatEvent, chat: Chat, userId: string): Notice | null {
  if (event.type === "notification") return noticeOfNotification(event.notification);
  if (event.type === "change_failed") return noticeOfFailure(event, chat, userId);
  if (event.type !== "message" || event.isReplay || event.message.senderId === userId || isAttentive())
    return null;
  return noticeOfMessage(event.message, chat, userId);
}

function noticeOfNotification(notification: Notification): Notice {
  const { kind, conversationId, conversationName: room } = notification;
  const sender = notification.senderName ?? words.somebody;
  const title = {
    added: words.added(room ?? sender),
    mention: room ? words.mention(sender, room) : sender,
    message: room ? words.message(sender, room) : sender,
  }[kind];
  return { conversationId, title, body: shortened(notification.preview ?? "") };
}

function noticeOfFailure(
  { conversationId, change, failure }: ChatEvent & { type: "change_failed" },
  chat: Chat,
  userId: string,
): Notice {
  const reason = refusalOf(failure);
  const body = texts.messages.notChanged[change](reason);
  const conversation = chat.getSnapshot().conversations.items.find((one) => one.id === conversationId);
  const title = conversation ? titleOf(conversation, userId, texts.conversations) : texts.appName;
  return { conversationId, title, body, isAlways: true };
}

const isMentioned = ({ mentions = [], mentionAll }: Message, userId: string) =>
  mentionAll === true || mentions.includes(userId);

function noticeOfMessage(message: Message, chat: Chat, userId: string): Notice | null {
  const { conversationId, senderName, content } = message;
  const conversation = chat.getSnapshot().conversations.items.find((one) => one.id === conversationId);
  if (conversation?.isMuted && !isMentioned(message, userId)) return null;
  const isDirect = !conversation || conversation.type === "direct";
  const title = isDirect
    ? senderName
    : words.message(senderName, titleOf(conversation, userId, texts.conversations));
  return { conversationId, title, body: shortened(content) };
}

const shortened = (text: string) => plainText(text.slice(0, LENGTH * 2)).slice(0, LENGTH);
