"""Who may do what in a conversation, as one table: action, kind of conversation, role.

Whoever carries an action out asks `check`; `docs/protocol.md` prints the table, and a test tries every cell of it.
"""

from dataclasses import dataclass
from typing import Literal

from contracts.conversation import ConversationType, Role
from contracts.errors import ErrorCode, Refusal

Action = Literal["send", "rename", "add_members", "remove_member", "leave", "delete"]

NOBODY: frozenset[Role] = frozenset()
ADMINS: frozenset[Role] = frozenset({"admin"})
MEMBERS: frozenset[Role] = frozenset({"admin", "member"})


@dataclass(frozen=True)
class Right:
    """One row of the table: who may, in each kind of conversation.

    `why` is what somebody reads who may not, whatever their role; without it, it is their role that does not allow it.
    """

    what: str
    direct: frozenset[Role]
    group: frozenset[Role]
    channel: frozenset[Role]
    why: str | None = None

    def of(self, kind: ConversationType) -> frozenset[Role]:
        """One cell."""
        return {"direct": self.direct, "group": self.group, "channel": self.channel}[kind]


RIGHTS: dict[Action, Right] = {
    "send": Right("send a message", MEMBERS, MEMBERS, MEMBERS),
    "rename": Right("rename", NOBODY, ADMINS, ADMINS, "A direct conversation has no name."),
    "add_members": Right("add people", NOBODY, ADMINS, ADMINS, "A direct conversation has exactly two members."),
    "remove_member": Right("remove somebody else", NOBODY, ADMINS, ADMINS, "Nobody can be removed from here."),
    "leave": Right("leave", MEMBERS, MEMBERS, MEMBERS),
    "delete": Right("delete", NOBODY, ADMINS, ADMINS, "A direct conversation can be left, not deleted."),
}


def check(action: Action, kind: ConversationType, role: Role | None) -> None:
    """Returns when somebody with this role may; without a role, they are no member.

    Raises:
        Refusal: NOT_A_MEMBER or FORBIDDEN.
    """
    if role is None:
        raise Refusal(ErrorCode.NOT_A_MEMBER)
    right = RIGHTS[action]
    allowed = right.of(kind)
    if role not in allowed:
        raise Refusal(ErrorCode.FORBIDDEN, None if allowed else right.why)


def table() -> str:
    """The table in Markdown."""
    lines = ["| to | direct | group | channel |", "|---|---|---|---|"]
    for right in RIGHTS.values():
        lines.append(f"| {right.what} | {' | '.join(map(_people, (right.direct, right.group, right.channel)))} |")
    return "\n".join(lines)


def _people(roles: frozenset[Role]) -> str:
    return {NOBODY: "nobody", ADMINS: "admins", MEMBERS: "members"}[roles]
