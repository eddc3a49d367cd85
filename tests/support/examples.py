"""One of everything that travels, for the tests that hold it against schemas and against released versions."""

from datetime import UTC, datetime
from typing import Any

from contracts import commands, email, fanout, frames, notifying, push, webhooks
from contracts.conversation import Profile
from contracts.errors import ErrorCode
from contracts.examples import MEMBER, MESSAGE

MOMENT = datetime(2026, 1, 31, 12, tzinfo=UTC)
SERVER_FRAMES: list[frames.ServerFrame] = [
    frames.Authenticated(
        user_id="alice",
        user_name="Alice",
        connection_id="s1",
        heartbeat_interval_ms=30000,
        expires_at=None,
        request_id="r",
    ),
    frames.AuthError(error="The token is not valid.", code=ErrorCode.INVALID_TOKEN),
    frames.JoinedConversation(conversation_id="c1", last_seq=0, first_seq=None, has_more=False, last_change=2),
    frames.LeftConversation(conversation_id="c1"),
    frames.NewMessage(message=MESSAGE),
    frames.MessageSent(message_id="m1", conversation_id="c1", seq=7, created_at=MOMENT, duplicate=False, temp_id="t"),
    frames.MessageError(error="Too many.", code=ErrorCode.RATE_LIMITED, retryable=True, retry_after_ms=50),
    frames.MessageUpdated(message=MESSAGE, change="edited"),
    frames.UserTyping(conversation_id="c1", user_id="bob", user_name="Bob"),
    frames.UserStoppedTyping(conversation_id="c1", user_id="bob"),
    frames.ReadReceipt(conversation_id="c1", user_id="bob", seq=7, request_id="r"),
    frames.Presence(user_id="bob", status="offline", last_seen_at=MOMENT),
    frames.ConversationUpdated(
        conversation_id="c1", update_type="member_added", actor_id="alice", user_ids=["bob"], members=[MEMBER]
    ),
    frames.Notification(kind="added", conversation_id="c1", conversation_name=None, unread_count=0),
    frames.Resync(conversation_id="c1", from_seq=4, last_change=2),
    frames.Pong(heads={"c1": 9}, changes={"c1": 3}),
    frames.Error(error="Join first.", code=ErrorCode.NOT_JOINED, conversation_id="c1"),
]
CLIENT_FRAMES: list[dict[str, Any]] = [
    {"type": "authenticate", "token": "t", "timestamp": "whenever"},
    {"type": "join_conversation", "conversationId": "c1", "afterSeq": 0, "afterChange": 0, "limit": 200},
    {"type": "leave_conversation", "conversationId": "c1"},
    {"type": "send_message", "conversationId": "c1", "content": "Bonjour", "tempId": "t", "later": True},
    {"type": "typing_start", "conversationId": "c1"},
    {"type": "typing_stop", "conversationId": "c1"},
    {"type": "ping", "heads": {"c1": 3}, "changes": {"c1": 2}},
    {"type": "edit_message", "conversationId": "c1", "messageId": "m1", "content": "Salut"},
    {"type": "delete_message", "conversationId": "c1", "messageId": "m1"},
    {"type": "add_reaction", "conversationId": "c1", "messageId": "m1", "emoji": "👍"},
    {"type": "remove_reaction", "conversationId": "c1", "messageId": "m1", "emoji": "👍"},
    {"type": "mark_read", "conversationId": "c1", "seq": 3},
    {"type": "set_presence", "status": "invisible"},
    {"type": "watch_presence", "userIds": ["bob"]},
]


def common() -> dict[str, Any]:
    return {
        "id": "0" * 32,
        "origin": commands.Origin(gateway_id="g1"),
        "actor": Profile(user_id="alice", user_name="Alice", avatar=None),
        "expires_at": MOMENT,
    }


PUSH_KEYS = push.PushKeys(p256dh="B" + "A" * 86, auth="A" * 22)
COMMANDS: list[commands.AnyCommand | notifying.AnyCommand] = [
    commands.SendMessage(**common(), conversation_id="c1", content="Bonjour", temp_id="t"),
    commands.EditMessage(**common(), conversation_id="c1", message_id="m1", content="Salut"),
    commands.DeleteMessage(**common(), conversation_id="c1", message_id="m1"),
    commands.React(**common(), conversation_id="c1", message_id="m1", emoji="👍", present=True),
    commands.CreateConversation(
        **common(), conversation_id="c1", conversation_type="group", name="Team", member_ids=["bob"]
    ),
    commands.RenameConversation(**common(), conversation_id="c1", name="Team"),
    commands.PublishConversation(**common(), conversation_id="c1", public=True),
    commands.CloseConversation(**common(), conversation_id="c1", closed=True),
    commands.DeleteConversation(**common(), conversation_id="c1"),
    commands.PurgeConversation(**common(), conversation_id="c1"),
    commands.AddMembers(**common(), conversation_id="c1", member_ids=["bob"]),
    commands.RemoveMember(**common(), conversation_id="c1", member_id="bob"),
    commands.MarkRead(**common(), conversation_id="c1", seq=7),
    commands.JoinChannel(**common(), conversation_id="c1"),
    commands.ChangeRole(**common(), conversation_id="c1", member_id="bob", role="admin"),
    commands.ChangeSettings(**common(), conversation_id="c1", muted=True),
    commands.PinMessage(**common(), conversation_id="c1", message_id="m1"),
    commands.UnpinMessage(**common(), conversation_id="c1", message_id="m1"),
    commands.IndexMessages(**common(), conversation_id="c1", block=0),
    commands.StoreProfile(**common()),
    commands.StorePresence(**common(), chosen="invisible", seen_at=MOMENT),
    notifying.StoreNotificationSettings(
        **common(),
        settings=notifying.NotificationSettings(
            level="mentions",
            do_not_disturb=notifying.DoNotDisturb(start="22:00", end="07:00", time_zone="Europe/Paris"),
        ),
    ),
    notifying.StoreConversationNotifications(**common(), conversation_id="c1", level="nothing"),
    notifying.ReadNotifications(**common(), until=MOMENT, conversation_id="c1"),
    push.SubscribePush(
        **common(), subscription=push.PushSubscription(endpoint="https://push.example/1", keys=PUSH_KEYS, preview=False)
    ),
    push.UnsubscribePush(**common(), endpoint="https://push.example/1"),
    push.RenewPush(
        **common(), old_endpoint="https://push.example/1", endpoint="https://push.example/2", keys=PUSH_KEYS
    ),
    email.StoreEmail(**common(), settings=email.EmailSettings(digest=True, language="fr", address="alice@example.org")),
    email.EndEmails(**common()),
    webhooks.CreateWebhook(
        **common(),
        administrator=False,
        conversation_id="c1",
        url="https://example.com/hook",
        events=["chat.message.created.v1"],
        description="Build",
        secret="whsec_AAAA",
    ),
    webhooks.ChangeWebhook(**common(), administrator=True, webhook_id="w1", url="https://example.com/", active=True),
    webhooks.DeleteWebhook(**common(), administrator=False, webhook_id="w1"),
    webhooks.RotateWebhookSecret(
        **common(), administrator=False, webhook_id="w1", secret="whsec_AAAA", previous_until=MOMENT
    ),
    webhooks.PingWebhook(**common(), administrator=False, webhook_id="w1"),
    webhooks.RedeliverWebhook(**common(), administrator=False, webhook_id="w1", delivery_id="d1"),
]
# The headers of fan-out items.
ITEMS: list[fanout.Item] = [
    fanout.MessageCreated(
        conversation_id="c1",
        seq=7,
        message_id="m1",
        sender_id="alice",
        created_at=MOMENT,
        gateway_id="g1",
        temp_id="t1",
        reply_to="m0",
    ),
    fanout.MessageUpdated(conversation_id="c1", seq=7, change_seq=2, change="edited", command_ids=["0" * 32, "1" * 32]),
    fanout.MessageUpdated(
        conversation_id="c1", seq=7, change_seq=3, change="edited", command_ids=[], sender_id="alice", temp_id="t1"
    ),
    fanout.ConversationUpdated(
        conversation_id="c1", update_type="member_removed", audience=["alice"], removed=["bob"], more=True
    ),
    fanout.SettingsChanged(conversation_id="c1", user_id="alice"),
    fanout.ReadUpdated(command_id="0" * 32, conversation_id="c1", user_id="bob", seq=7, private=True),
    fanout.Notification(id="c1:7/0", conversation_id="c1", unread={"bob": 2}),
    fanout.Typing(conversation_id="c1", user_id="bob", user_name="Bob", active=True),
    fanout.Presence(gateway_id="g1", here={"alice": "busy"}, gone={"bob": MOMENT}, leaving=True, asking=True),
    fanout.PreferencesChanged(user_id="alice"),
    fanout.PresenceChosen(user_id="alice", chosen="invisible", seen_at=MOMENT),
    fanout.PreferencesChanged(user_id="alice"),
    fanout.Reply(
        command_id="0" * 32,
        code=ErrorCode.TIMEOUT,
        detail="Too late.",
        message_id="m1",
        seq=7,
        created_at=MOMENT,
        duplicate=True,
    ),
]
