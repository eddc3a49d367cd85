/** A change of a conversation, in words. */
import type { AuditEntry } from "../../lib/index.ts";
import type { Texts } from "../texts/index.ts";

export function wordsOf(
  entry: AuditEntry,
  nameOf: (userId: string) => string,
  words: Texts["audit"],
): string {
  const { action, actorId, userIds = [], roles = {} } = entry;
  const actor = nameOf(actorId);
  const people = userIds.map(nameOf).join(", ");
  const isOwn = userIds.length === 1 && userIds[0] === actorId;
  const given = (role: string) =>
    Object.keys(roles)
      .filter((userId) => roles[userId] === role)
      .map(nameOf)
      .join(", ");
  switch (action) {
    case "created":
      return words.created(actor);
    case "member_added":
      return isOwn ? words.joined(actor) : words.added(actor, people);
    case "member_removed":
      return isOwn ? words.left(actor) : words.removed(actor, people);
    case "name_changed":
      return words.renamed(actor, entry.name ?? "");
    case "role_changed":
      return given("admin") ? words.promoted(actor, given("admin")) : words.demoted(actor, given("member"));
    case "visibility_changed":
      return entry.public ? words.madePublic(actor) : words.madePrivate(actor);
    case "closed":
      return words.closed(actor);
    case "reopened":
      return words.reopened(actor);
    case "pinned":
      return words.pinned(actor);
    case "unpinned":
      return words.unpinned(actor);
    default:
      return words.other(actor, action);
  }
}
