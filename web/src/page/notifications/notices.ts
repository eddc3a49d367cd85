/** Tells about what happens where the person is not looking: on the page, or on the device. */
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import type { Chat, ChatEvent, Conversation, Message, Notification } from "../../lib/index.ts";
import { openConversation } from "../address.ts";
import { isAttentive, useAttention, useSharedAttention } from "../attention.ts";
import { titleOf } from "../conversations/names.ts";
import { plainText } from "../messages/markdown.ts";
import { texts } from "../texts/index.ts";
import { refusalOf } from "../texts/reason.ts";
import { createLevels } from "./level.ts";
import { notifyDevice } from "./permission.ts";
import type { Toast } from "./Toasts.tsx";

const MOST = 3;
const LENGTH = 200;
const words = texts.notifications;

/** `openId`: the conversation that the person looks at, of which nothing needs to be told. */
export function useNotices(chat: Chat, userId: string, openId: string | null) {
  const [toasts, setToasts] = useState<Toast[]>([]);
  const count = useRef(0);
  const { mayTell, forget } = useMemo(() => createLevels(chat), [chat]);
  useAttention(forget);
  useSharedAttention(userId);

  useEffect(
    () =>
      chat.listen((event) => {
        if (event.type === "message") {
          if (event.isReplay || event.message.senderId === userId || isAttentive()) return;
          const { message } = event;
          const conversation = conversationOf(chat, message.conversationId);
          const notice = noticeOfMessage(message, conversation, userId);
          void mayTell(message, userId, conversation).then(
            (may) => may && tellDevice(userId, notice, message.seq),
          );
          return;
        }
        const notice = noticeOf(event);
        if (!notice) return;
        if (event.type === "notification") tellDevice(userId, notice, event.notification.seq ?? 0);
        count.current += 1;
        const toast = { ...notice, id: String(count.current) };
        setToasts((shown) => withToast(shown, toast));
      }),
    [chat, userId, mayTell],
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

/** One for each conversation: what came last. Nothing that passes takes the place of one that lasts. */
function withToast(toasts: readonly Toast[], toast: Toast): Toast[] {
  const isSameKind = (one: Toast) => Boolean(one.isLasting) === Boolean(toast.isLasting);
  const others = toasts.filter((one) => !isSameKind(one));
  const same = toasts.filter((one) => isSameKind(one) && one.conversationId !== toast.conversationId);
  return [...others, ...[...same, toast].slice(-MOST)];
}

/** Without those of a conversation that the person looks at; the same where there are none. */
function without(toasts: Toast[], openId: string | null): Toast[] {
  const rest = toasts.filter((toast) => toast.isAlways || toast.conversationId !== openId);
  return rest.length < toasts.length ? rest : toasts;
}

type Notice = Omit<Toast, "id">;

function noticeOf(event: ChatEvent): Notice | null {
  if (event.type === "notification") return noticeOfNotification(event.notification);
  if (event.type === "change_failed") return noticeOfChange(event);
  return event.type === "send_failed" ? noticeOfUnsent(event) : null;
}

function tellDevice(userId: string, { conversationId, title, body }: Notice, seq: number): void {
  const onOpen = () => openConversation(conversationId);
  void notifyDevice(userId, { conversationId, title: title ?? texts.appName, body, seq, onOpen });
}

const conversationOf = (chat: Chat, id: string) =>
  chat.getSnapshot().conversations.items.find((one) => one.id === id);

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

function noticeOfChange(event: ChatEvent & { type: "change_failed" }): Notice {
  const { conversationId, change, failure } = event;
  const body = texts.messages.notChanged[change](refusalOf(failure));
  return { conversationId, title: null, body, isAlways: true };
}

/** Whoever looks at the conversation sees it there. */
function noticeOfUnsent({ outgoing }: ChatEvent & { type: "send_failed" }): Notice {
  const { conversationId, failure } = outgoing;
  const { failed, failedBecause } = texts.messages;
  const body = failure ? failedBecause(refusalOf(failure)) : failed;
  return { conversationId, title: null, body, isLasting: true };
}

function noticeOfMessage(message: Message, conversation: Conversation | undefined, userId: string): Notice {
  const { conversationId, senderName, content } = message;
  const isDirect = !conversation || conversation.type === "direct";
  const title = isDirect
    ? senderName
    : words.message(senderName, titleOf(conversation, userId, texts.conversations));
  return { conversationId, title, body: shortened(content) };
}

const shortened = (text: string) => plainText(text.slice(0, LENGTH * 2)).slice(0, LENGTH);
