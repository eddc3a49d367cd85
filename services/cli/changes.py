"""A change of a conversation in words: as it happens, and in the audit trail."""

from collections.abc import Callable
from typing import Any

Frame = dict[str, Any]
NameOf = Callable[[str | None], str]


def sentence(change: str, actor_id: str | None, facts: Frame, name_of: NameOf) -> str | None:
    """What somebody did; None of what is not worth a line, or not known here.

    `change` is an `updateType`; `facts` are a `conversation_updated` or an entry of the audit trail.
    """
    actor, concerned = name_of(actor_id), facts.get("userIds", [])
    people = _people(concerned, name_of)
    by_themselves = concerned == [actor_id]
    match change:
        case "created":
            return f"{actor} started the conversation"
        case "member_added":
            return f"{actor} joined" if by_themselves else f"{actor} added {people}"
        case "member_removed":
            return f"{actor} left" if by_themselves else f"{actor} removed {people}"
        case "name_changed":
            return f"{actor} named it {facts.get('name')}"
        case "role_changed":
            return _roles(actor, facts, name_of)
        case "visibility_changed":
            return f"{actor} made it {'public' if facts.get('public') else 'private'}"
        case "closed":
            return f"{actor} closed it: it can be read, not changed"
        case "reopened":
            return f"{actor} opened it again"
        case "pinned" | "unpinned":
            return f"{actor} {change} a message"
    return None


def _roles(actor: str, facts: Frame, name_of: NameOf) -> str:
    # The audit trail has `roles`, a frame the members as they are now.
    roles = facts.get("roles") or {member["userId"]: member["role"] for member in facts.get("members", ())}
    admins = [user_id for user_id, role in roles.items() if role == "admin"]
    if admins:
        return f"{actor} made {_people(admins, name_of)} admin"
    return f"{actor} took the admin role from {_people(list(roles), name_of)}"


def _people(user_ids: list[str], name_of: NameOf) -> str:
    names = [name_of(user_id) for user_id in user_ids[:3]]
    more = len(user_ids) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")
