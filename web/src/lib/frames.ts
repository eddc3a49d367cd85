// Generated from contracts/schema/frames.schema.json by `npm run generate`. Do not edit.

/**
 * Every text frame between browser and gateway. Unknown fields are ignored.
 */
export type PalabreFramesVersion1 = ClientFrame | ServerFrame;
/**
 * Any frame of a client.
 */
export type ClientFrame =
  | Authenticate
  | JoinConversation
  | LeaveConversation
  | SendMessage
  | TypingStart
  | TypingStop
  | Ping
  | EditMessage
  | DeleteMessage
  | AddReaction
  | RemoveReaction
  | MarkRead
  | SetPresence
  | WatchPresence;
/**
 * Any frame of the server.
 */
export type ServerFrame =
  | Authenticated
  | AuthError
  | JoinedConversation
  | LeftConversation
  | NewMessage
  | MessageSent
  | MessageError
  | MessageUpdated
  | UserTyping
  | UserStoppedTyping
  | ReadReceipt
  | Presence
  | ConversationUpdated
  | Notification
  | Resync
  | Pong
  | Error;
/**
 * Why something was refused, over WebSocket (`code` of a frame) and REST (`code` of a problem).
 */
export type ErrorCode =
  | "INVALID_FRAME"
  | "UNKNOWN_TYPE"
  | "NOT_AUTHENTICATED"
  | "INVALID_TOKEN"
  | "TOKEN_EXPIRED"
  | "NOT_A_MEMBER"
  | "NOT_JOINED"
  | "NOT_FOUND"
  | "FORBIDDEN"
  | "CONTENT_EMPTY"
  | "CONTENT_TOO_LONG"
  | "TEMP_ID_CONFLICT"
  | "RATE_LIMITED"
  | "TIMEOUT"
  | "UNAVAILABLE"
  | "INTERNAL";

/**
 * Proves who is there, or renews the proof. Answer: `authenticated`, or `auth_error` and close 4500.
 */
export interface Authenticate {
  requestId?: string;
  type: "authenticate";
  token: string;
}
/**
 * Asks for the live messages of a conversation, after those above `afterSeq` (or the newest `limit`).
 *
 * `afterChange` is the last `changeSeq` that the client has: newer changes of what it holds follow as well.
 */
export interface JoinConversation {
  requestId?: string;
  conversationId: string;
  type: "join_conversation";
  afterSeq?: number;
  afterChange?: number;
  limit?: number;
}
/**
 * Ends the live messages of a conversation on this connection.
 */
export interface LeaveConversation {
  requestId?: string;
  conversationId: string;
  type: "leave_conversation";
}
/**
 * A message to store and deliver. Answer: `message_sent` once it is stored, or `message_error`.
 */
export interface SendMessage {
  requestId?: string;
  conversationId: string;
  type: "send_message";
  content?: string;
  tempId?: string;
  /**
   * @maxItems 20
   */
  attachments?: Attachment[];
  replyTo?: string;
  /**
   * @maxItems 50
   */
  mentions?: string[];
  mentionAll?: boolean;
}
/**
 * A file beside a message. `size` in bytes, `durationMs` and `waveform` for sound.
 */
export interface Attachment {
  id?: string;
  name: string;
  url: string;
  type: string;
  size: number;
  durationMs?: number;
  /**
   * @maxItems 1024
   */
  waveform?: number[];
}
/**
 * The user types; to be renewed within ten seconds.
 */
export interface TypingStart {
  requestId?: string;
  conversationId: string;
  type: "typing_start";
}
/**
 * The user no longer types.
 */
export interface TypingStop {
  requestId?: string;
  conversationId: string;
  type: "typing_stop";
}
/**
 * The client's own heartbeat. `heads` are the last seqs that it holds, so that a loss is found at once.
 *
 * `changes` are the last changeSeqs that it has seen, likewise.
 */
export interface Ping {
  requestId?: string;
  type: "ping";
  heads?: {
    [k: string]: number;
  };
  changes?: {
    [k: string]: number;
  };
}
/**
 * A new content for one's own message. Its mentions stay what they are, unless they are given.
 */
export interface EditMessage {
  requestId?: string;
  conversationId: string;
  messageId: string;
  type: "edit_message";
  content: string;
  /**
   * @maxItems 50
   */
  mentions?: string[];
  mentionAll?: boolean;
}
/**
 * Empties a message; its `seq` stays.
 */
export interface DeleteMessage {
  requestId?: string;
  conversationId: string;
  messageId: string;
  type: "delete_message";
}
/**
 * One emoji of this user on a message.
 */
export interface AddReaction {
  requestId?: string;
  conversationId: string;
  messageId: string;
  type: "add_reaction";
  emoji: string;
}
/**
 * Takes one emoji of this user back.
 */
export interface RemoveReaction {
  requestId?: string;
  conversationId: string;
  messageId: string;
  type: "remove_reaction";
  emoji: string;
}
/**
 * This user has read everything up to `seq`.
 */
export interface MarkRead {
  requestId?: string;
  conversationId: string;
  type: "mark_read";
  seq: number;
}
/**
 * How this user wants to be seen.
 */
export interface SetPresence {
  requestId?: string;
  type: "set_presence";
  status: "online" | "away" | "busy" | "invisible";
}
/**
 * The people whose presence this connection wants to know, in place of those that it named before.
 */
export interface WatchPresence {
  requestId?: string;
  type: "watch_presence";
  /**
   * @maxItems 500
   */
  userIds: string[];
}
/**
 * The connection belongs to this user now, until `expiresAt`.
 *
 * `history`: the name of what is stored, absent until a backup was restored. When a client meets another one, what it
 * holds may never have been: it begins anew.
 */
export interface Authenticated {
  timestamp: string;
  requestId?: string;
  type: "authenticated";
  userId: string;
  userName: string;
  connectionId: string;
  heartbeatIntervalMs: number;
  expiresAt: string | null;
  history?: string;
}
/**
 * The token was refused; close 4500 follows.
 */
export interface AuthError {
  timestamp: string;
  requestId?: string;
  type: "auth_error";
  error: string;
  code: ErrorCode;
}
/**
 * The join succeeded; the messages from `firstSeq` to `lastSeq` follow as `new_message`, then live ones.
 *
 * `hasMore`: messages that the client may miss exist before `firstSeq`: any at all on a first join, any above
 * `afterSeq` on a resume. `lastChange` is the conversation's last change that these messages contain; absent while there
 * is none.
 */
export interface JoinedConversation {
  timestamp: string;
  requestId?: string;
  type: "joined_conversation";
  conversationId: string;
  lastSeq: number;
  firstSeq: number | null;
  hasMore: boolean;
  lastChange?: number;
}
/**
 * No more live messages of this conversation on this connection.
 */
export interface LeftConversation {
  timestamp: string;
  requestId?: string;
  type: "left_conversation";
  conversationId: string;
}
/**
 * A stored message, in rising `seq`, never twice.
 */
export interface NewMessage {
  timestamp: string;
  type: "new_message";
  message: Message;
}
/**
 * A stored message. `tempId` travels beside it, to its sender only.
 *
 * `changeSeq` is the number of its last change among all changes of its conversation; absent if it never changed.
 */
export interface Message {
  id: string;
  conversationId: string;
  seq: number;
  senderId: string;
  senderName: string;
  senderAvatar: string | null;
  content: string;
  createdAt: string;
  tempId?: string;
  attachments?: Attachment[];
  replyTo?: string;
  reply?: Quote;
  editedAt?: string;
  isDeleted?: boolean;
  reactions?: {
    [k: string]: string[];
  };
  mentions?: string[];
  mentionAll?: boolean;
  replies?: Replies;
  changeSeq?: number;
}
/**
 * What a message replies to, as it was then; `preview` is the beginning of its content.
 *
 * Once the quoted message is deleted `preview` is empty.
 */
export interface Quote {
  messageId: string;
  seq: number;
  senderId: string;
  senderName: string;
  preview: string;
  isDeleted?: boolean;
}
/**
 * How many replies a message has up to `lastSeq`, the newest that is counted.
 */
export interface Replies {
  count: number;
  lastSeq: number;
}
/**
 * The message is stored by a majority. `duplicate`: this `tempId` was stored before.
 */
export interface MessageSent {
  timestamp: string;
  requestId?: string;
  type: "message_sent";
  messageId: string;
  tempId?: string;
  conversationId: string;
  seq: number;
  createdAt: string;
  duplicate: boolean;
}
/**
 * The message was not stored, as far as is known; with `retryable`, try again with the same `tempId`.
 */
export interface MessageError {
  timestamp: string;
  requestId?: string;
  type: "message_error";
  error: string;
  code: ErrorCode;
  tempId?: string;
  conversationId?: string;
  retryable: boolean;
  retryAfterMs?: number;
}
/**
 * The whole message after a change, in rising `changeSeq`, after its `new_message`.
 */
export interface MessageUpdated {
  timestamp: string;
  requestId?: string;
  type: "message_updated";
  message: Message;
  change: "edited" | "deleted" | "reactions";
}
/**
 * Somebody else types in a joined conversation.
 */
export interface UserTyping {
  timestamp: string;
  type: "user_typing";
  conversationId: string;
  userId: string;
  userName: string;
}
/**
 * They stopped, left, or fell silent for ten seconds.
 */
export interface UserStoppedTyping {
  timestamp: string;
  type: "user_stopped_typing";
  conversationId: string;
  userId: string;
}
/**
 * Somebody has read everything up to `seq`. It only ever rises; one that comes again says nothing new.
 */
export interface ReadReceipt {
  timestamp: string;
  requestId?: string;
  type: "read_receipt";
  conversationId: string;
  userId: string;
  seq: number;
}
/**
 * Somebody who shares a conversation came, went or changed; or is so, as an answer.
 */
export interface Presence {
  timestamp: string;
  requestId?: string;
  userId: string;
  status: "online" | "away" | "busy" | "offline";
  lastSeenAt?: string;
  type: "presence";
}
/**
 * A conversation changed, for its members and for those who were removed.
 *
 * `name` with `created` and `name_changed`; `userIds` are the people added or removed; `members` those who are
 * new in it (the first of them, when they are many), or whose role changed; `conversationType` and `createdBy` with
 * `created`; `public` with `created` and `visibility_changed` of a channel; `messageId` with `pinned` and `unpinned`.
 * `actorId` is absent when a gateway finds out later than the event. `settings_changed` with `muted` and `archived`
 * goes only to the connections of the member whose settings they are. Clients ignore an `updateType` that they do not
 * know.
 */
export interface ConversationUpdated {
  timestamp: string;
  type: "conversation_updated";
  conversationId: string;
  updateType:
    | (
        | "created"
        | "member_added"
        | "member_removed"
        | "name_changed"
        | "deleted"
        | "role_changed"
        | "visibility_changed"
        | "closed"
        | "reopened"
        | "pinned"
        | "unpinned"
      )
    | "settings_changed";
  actorId?: string;
  name?: string;
  conversationType?: "direct" | "group" | "channel";
  createdBy?: string;
  userIds?: string[];
  members?: Member[];
  public?: boolean;
  messageId?: string;
  muted?: boolean;
  archived?: boolean;
}
/**
 * A person in one conversation. `lastReadSeq` is the newest message that they have read.
 */
export interface Member {
  userId: string;
  userName: string;
  avatar: string | null;
  role: "admin" | "member";
  lastReadSeq: number;
  joinedAt: string;
}
/**
 * Something for a member whose connection has not joined that conversation.
 */
export interface Notification {
  timestamp: string;
  kind: "message" | "mention" | "added";
  conversationId: string;
  conversationName: string | null;
  messageId?: string;
  seq?: number;
  senderName?: string;
  preview?: string;
  type: "notification";
  unreadCount: number;
}
/**
 * What follows has a hole from `fromSeq` that this connection was not given; fetch it over REST.
 *
 * `lastChange`: what is missing are changes, up to this one; whatever is held from `fromSeq` on may be out of date.
 */
export interface Resync {
  timestamp: string;
  type: "resync";
  conversationId: string;
  fromSeq: number;
  lastChange?: number;
}
/**
 * The answer to a ping, with the conversations of its `heads` and `changes` where the server holds more.
 */
export interface Pong {
  timestamp: string;
  requestId?: string;
  type: "pong";
  heads?: {
    [k: string]: number;
  };
  changes?: {
    [k: string]: number;
  };
}
/**
 * A frame was refused.
 */
export interface Error {
  timestamp: string;
  requestId?: string;
  type: "error";
  error: string;
  code: ErrorCode;
  conversationId?: string;
  retryAfterMs?: number;
}
