"""Who may do what in a conversation, as one table: action, kind of conversation, role.

Whoever carries an action out asks `check`; `docs/protocol.md` prints the table, and a test tries every cell of it.
"""

from dataclasses import dataclass
from typing import Literal

from contracts.conversation import ConversationType, Role
from contracts.errors import ErrorCode, Refusal

Action = Literal[
    "send",
    "mention_all",
    "edit",
    "react",
    "delete_own",
    "delete_any",
    "rename",
    "add_members",
    "remove_member",
    "leave",
    "join",
    "change_role",
    "publish",
    "pin",
    "close",
    "delete",
    "read_audit",
    "manage_webhooks",
    "change_settings",
]
Standing = Role | Literal["visitor"]  # who is no member, while it is public

NOBODY: frozenset[Standing] = frozenset()
ADMINS: frozenset[Standing] = frozenset({"admin"})
MEMBERS: frozenset[Standing] = frozenset({"admin", "member"})
EVERYBODY: frozenset[Standing] = MEMBERS | {"visitor"}
CLOSED = "The conversation is closed: it can be read, not changed."


@dataclass(frozen=True)
class Right:
    """One row of the table: who may, in each kind of conversation.

    Attributes:
        closed: whether they may also while the conversation is closed.
        why: what members read where nobody may; elsewhere it is their role that does not allow it.
    """

    what: str
    direct: frozenset[Standing]
    group: frozenset[Standing]
    channel: frozenset[Standing]
    closed: bool = False
    why: str | None = None

    def of(self, kind: ConversationType) -> frozenset[Standing]:
        """One cell."""
        return {"direct": self.direct, "group": self.group, "channel": self.channel}[kind]


RIGHTS: dict[Action, Right] = {
    "send": Right("send a message", MEMBERS, MEMBERS, MEMBERS),
    "mention_all": Right("mention everybody", MEMBERS, ADMINS, ADMINS),
    "edit": Right("edit one's own message", MEMBERS, MEMBERS, MEMBERS),
    "react": Right("react to a message", MEMBERS, MEMBERS, MEMBERS),
    "delete_own": Right("delete one's own message", MEMBERS, MEMBERS, MEMBERS, closed=True),
    "delete_any": Right(
        "delete anybody's message",
        NOBODY,
        ADMINS,
        ADMINS,
        closed=True,
        why="In a direct conversation everybody deletes their own messages only.",
    ),
    "rename": Right("rename", NOBODY, ADMINS, ADMINS, why="A direct conversation has no name."),
    "add_members": Right("add people", NOBODY, ADMINS, ADMINS, why="A direct conversation has exactly two members."),
    "remove_member": Right(
        "remove somebody else", NOBODY, ADMINS, ADMINS, closed=True, why="A direct conversation can only be left."
    ),
    "leave": Right("leave", MEMBERS, MEMBERS, MEMBERS, closed=True),
    "join": Right("join by oneself", NOBODY, NOBODY, EVERYBODY, why="Only a public channel can be joined."),
    "change_role": Right(
        "give and take the admin role", NOBODY, ADMINS, ADMINS, why="A direct conversation has no roles to give."
    ),
    "publish": Right("make public, or private", NOBODY, NOBODY, ADMINS, why="Only a channel can be public."),
    "pin": Right("pin and unpin a message", MEMBERS, ADMINS, ADMINS),
    "close": Right(
        "close, and open again", NOBODY, ADMINS, ADMINS, closed=True, why="A direct conversation cannot be closed."
    ),
    "delete": Right(
        "delete", NOBODY, ADMINS, ADMINS, closed=True, why="A direct conversation can be left, not deleted."
    ),
    "read_audit": Right(
        "read who changed what", NOBODY, ADMINS, ADMINS, closed=True, why="A direct conversation has no admins."
    ),
    "manage_webhooks": Right(
        "make, change and delete webhooks",
        NOBODY,
        ADMINS,
        ADMINS,
        closed=True,
        why="A direct conversation has no webhooks.",
    ),
    "change_settings": Right("mute and archive, for oneself", MEMBERS, MEMBERS, MEMBERS, closed=True),
}


def check(
    action: Action, kind: ConversationType, role: Role | None, *, public: bool = False, closed: bool = False
) -> None:
    """Returns when somebody with this role may; without a role, they are no member.

    Raises:
        Refusal: NOT_A_MEMBER or FORBIDDEN.
    """
    right = RIGHTS[action]
    allowed = right.of(kind)
    if role is None and not (public and "visitor" in allowed):
        raise Refusal(ErrorCode.NOT_A_MEMBER)
    if role is not None and role not in allowed:
        raise Refusal(ErrorCode.FORBIDDEN, None if allowed else right.why)
    if closed and not right.closed:
        raise Refusal(ErrorCode.FORBIDDEN, CLOSED)


def allows(action: Action, kind: ConversationType, role: Role | None, *, closed: bool = False) -> bool:
    """Whether somebody with this role may."""
    right = RIGHTS[action]
    return role in right.of(kind) and (right.closed or not closed)


def table() -> str:
    """The table in Markdown."""
    lines = ["| to | direct | group | channel | while closed |", "|---|---|---|---|---|"]
    for right in RIGHTS.values():
        people = " | ".join(_NAMES[roles] for roles in (right.direct, right.group, right.channel))
        lines.append(f"| {right.what} | {people} | {'yes' if right.closed else 'no'} |")
    return "\n".join(lines)


_NAMES = {NOBODY: "nobody", ADMINS: "admins", MEMBERS: "members", EVERYBODY: "everybody, while it is public"}
