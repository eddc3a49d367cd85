/** Who may do what, as the gateway has it in `contracts/rights.py`: a page offers nothing else. A test compares the two. */
import type { Conversation, ConversationType } from "./types.ts";

export type Action =
  | "send"
  | "mention_all"
  | "edit"
  | "react"
  | "delete_own"
  | "delete_any"
  | "rename"
  | "add_members"
  | "remove_member"
  | "leave"
  | "join"
  | "change_role"
  | "publish"
  | "pin"
  | "close"
  | "delete"
  | "read_audit"
  | "manage_webhooks"
  | "change_settings";
type Who = "members" | "admins" | "nobody";
type Row = Readonly<Record<ConversationType, Who>> & { readonly closed: boolean };

const row = (direct: Who, group: Who, channel: Who, closed = false): Row => ({
  direct,
  group,
  channel,
  closed,
});
const CLOSED_TOO = true;

/** In the order of the table in `docs/protocol.md`. */
export const RIGHTS: Readonly<Record<Action, Row>> = {
  send: row("members", "members", "members"),
  mention_all: row("members", "admins", "admins"),
  edit: row("members", "members", "members"),
  react: row("members", "members", "members"),
  delete_own: row("members", "members", "members", CLOSED_TOO),
  delete_any: row("nobody", "admins", "admins", CLOSED_TOO),
  rename: row("nobody", "admins", "admins"),
  add_members: row("nobody", "admins", "admins"),
  remove_member: row("nobody", "admins", "admins", CLOSED_TOO),
  leave: row("members", "members", "members", CLOSED_TOO),
  join: row("nobody", "nobody", "members"),
  change_role: row("nobody", "admins", "admins"),
  publish: row("nobody", "nobody", "admins"),
  pin: row("members", "admins", "admins"),
  close: row("nobody", "admins", "admins", CLOSED_TOO),
  delete: row("nobody", "admins", "admins", CLOSED_TOO),
  read_audit: row("nobody", "admins", "admins", CLOSED_TOO),
  manage_webhooks: row("nobody", "admins", "admins", CLOSED_TOO),
  change_settings: row("members", "members", "members", CLOSED_TOO),
};

/** Whether this person may do it in a conversation of theirs, as it is now. */
export function may(
  action: Action,
  { type, role, closedAt }: Pick<Conversation, "type" | "role" | "closedAt">,
): boolean {
  const right = RIGHTS[action];
  if (closedAt !== null && !right.closed) return false;
  return right[type] === "members" || (right[type] === "admins" && role === "admin");
}
