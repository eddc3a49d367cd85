/** The gateway's REST calls. What it refuses is a `ChatError` with its code. */
import { ChatError } from "./errors.ts";
import type { ErrorCode, Member, Message } from "./frames.ts";
import type { Tokens } from "./tokens.ts";
import type {
  AuditEntry,
  ConversationType,
  Edit,
  Failure,
  Found,
  Mails,
  NewConversation,
  NotificationEntry,
  NotificationLevel,
  NotificationSettings,
  Page,
  Person,
  Pin,
  PublicChannel,
  Role,
  Wanted,
} from "./types.ts";

/** How somebody wants to be seen on all devices. */
export type Chosen = "online" | "busy" | "invisible";

/** A conversation as the gateway shows it. */
export interface ConversationView {
  id: string;
  type: ConversationType;
  name: string | null;
  createdAt: string;
  createdBy: string;
  lastSeq: number;
  lastMessage: Message | null;
  unreadCount: number;
  /** Absent from gateways that know no mentions. */
  unreadMentions?: number;
  members: Member[];
  memberCount: number;
  /** The caller's own; a gateway of before has it among the members only. */
  role?: Role;
  muted?: boolean;
  archived?: boolean;
  public?: boolean;
  closedAt?: string;
}

export interface List<Item> {
  items: Item[];
  nextCursor: string | null;
}

export interface MessagePage {
  items: Message[];
  hasMore: boolean;
}

/** A browser's push subscription. */
export interface PushDevice {
  endpoint: string;
  keys: { p256dh: string; auth: string };
  preview: boolean;
}

/** A page of what somebody was told of. */
export interface NotificationPage extends List<NotificationEntry> {
  unreadCount: number;
}

/** Messages around one. */
export interface PageAround extends MessagePage {
  hasMoreBefore: boolean;
  hasMoreAfter: boolean;
}

export type Rest = ReturnType<typeof createRest>;

type Query = Record<string, string | number | boolean | null | undefined>;

/** For slow networks too: a page of messages may be large. */
const TIMEOUT = 30_000;

/** `base` is the address above `/api`. */
export function createRest(base: string, tokens: Tokens, ended: AbortSignal) {
  async function call<Answer>(method: string, path: string, body?: unknown): Promise<Answer> {
    const first = await attempt(method, path, body, await tokens.current());
    const answer =
      first.status === 401 ? await attempt(method, path, body, await tokens.fresh({ refused: true })) : first;
    if (!answer.ok) throw new ChatError(await problemOf(answer));
    return answer.status === 204 ? (undefined as Answer) : await read<Answer>(answer);
  }

  async function attempt(method: string, path: string, body: unknown, token: string): Promise<Response> {
    const headers: Record<string, string> = { Authorization: `Bearer ${token}` };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    try {
      return await fetch(`${base}/api${path}`, {
        method,
        headers,
        ...(body !== undefined && { body: JSON.stringify(body) }),
        signal: AbortSignal.any([ended, AbortSignal.timeout(TIMEOUT)]),
      });
    } catch (error) {
      throw unreachable(error);
    }
  }

  function unreachable(error: unknown): ChatError {
    if (ended.aborted)
      return new ChatError({ code: "STOPPED", message: "The chat has ended.", retryable: false });
    const message = error instanceof Error ? error.message : String(error);
    return new ChatError({ code: "NETWORK", message, retryable: true });
  }

  async function read<Answer>(answer: Response): Promise<Answer> {
    try {
      return await answer.json();
    } catch (error) {
      throw unreachable(error);
    }
  }

  const conversation = (id: string) => `/conversations/${encodeURIComponent(id)}`;
  const message = (id: string, messageId: string) =>
    `${conversation(id)}/messages/${encodeURIComponent(messageId)}`;
  return {
    me: () => call<Person>("GET", "/me"),
    users: (query: string) => call<List<Person>>("GET", `/users${search({ query })}`),
    conversations: (query: { archived?: true; cursor?: string | null; limit?: number }) =>
      call<List<ConversationView>>("GET", `/conversations${search(query)}`),
    conversation: (id: string) => call<ConversationView>("GET", conversation(id)),
    create: (wanted: NewConversation) => call<ConversationView>("POST", "/conversations", wanted),
    change: (id: string, changes: { name?: string; public?: boolean; closed?: boolean }) =>
      call<ConversationView>("PATCH", conversation(id), changes),
    changeSettings: (id: string, settings: { muted?: boolean; archived?: boolean }) =>
      call<ConversationView>("PATCH", `${conversation(id)}/me`, settings),
    join: (id: string) => call<ConversationView>("POST", `${conversation(id)}/join`),
    channels: (query: string, cursor: string | null) =>
      call<Page<PublicChannel>>("GET", `/channels${search({ query, cursor })}`),
    audit: (id: string, cursor: string | null) =>
      call<Page<AuditEntry>>("GET", `${conversation(id)}/audit${search({ cursor })}`),
    pins: (id: string) => call<{ items: Pin[] }>("GET", `${conversation(id)}/pins`),
    pin: (id: string, messageId: string) =>
      call<void>("PUT", `${conversation(id)}/pins/${encodeURIComponent(messageId)}`),
    unpin: (id: string, messageId: string) =>
      call<void>("DELETE", `${conversation(id)}/pins/${encodeURIComponent(messageId)}`),
    delete: (id: string) => call<void>("DELETE", conversation(id)),
    members: (id: string, query: { query?: string; cursor?: string | null; limit?: number }) =>
      call<List<Member>>("GET", `${conversation(id)}/members${search(query)}`),
    addMembers: (id: string, userIds: string[]) =>
      call<ConversationView>("POST", `${conversation(id)}/members`, { userIds }),
    setRole: (id: string, userId: string, role: Role) =>
      call<ConversationView>("PATCH", `${conversation(id)}/members/${encodeURIComponent(userId)}`, { role }),
    removeMember: (id: string, userId: string) =>
      call<void>("DELETE", `${conversation(id)}/members/${encodeURIComponent(userId)}`),
    readers: (id: string, messageId: string) =>
      call<{ items: Person[] }>("GET", `${message(id, messageId)}/readers`),
    message: (id: string, messageId: string) => call<Message>("GET", message(id, messageId)),
    replies: (id: string, messageId: string, query: { afterSeq: number; limit: number }) =>
      call<MessagePage>("GET", `${message(id, messageId)}/replies${search(query)}`),
    edits: (id: string, messageId: string, query: { cursor?: string | null; limit?: number }) =>
      call<List<Edit>>("GET", `${message(id, messageId)}/edits${search(query)}`),
    presence: () => call<{ chosen: Chosen }>("GET", "/presence"),
    messages: (id: string, query: { beforeSeq?: number; afterSeq?: number; limit: number }) =>
      call<MessagePage>("GET", `${conversation(id)}/messages${search(query)}`),
    notifications: (cursor: string | null) =>
      call<NotificationPage>("GET", `/notifications${search({ cursor })}`),
    readNotifications: (which: { all: true } | { conversationId: string }) =>
      call<void>("POST", "/notifications/read", which),
    notificationSettings: () => call<NotificationSettings>("GET", "/notification-settings"),
    setNotificationSettings: (settings: NotificationSettings) =>
      call<NotificationSettings>("PUT", "/notification-settings", settings),
    notificationLevel: (id: string) =>
      call<{ level: NotificationLevel | null }>("GET", `${conversation(id)}/notification-settings`),
    setNotificationLevel: (id: string, level: NotificationLevel | null) =>
      call<{ level: NotificationLevel | null }>("PUT", `${conversation(id)}/notification-settings`, {
        level,
      }),
    mails: () => call<Mails>("GET", "/email"),
    setMails: (wanted: Pick<Mails, "digest" | "language">) => call<Mails>("PUT", "/email", wanted),
    pushKey: () => call<{ publicKey: string | null }>("GET", "/push/key"),
    subscribePush: (device: PushDevice) => call<void>("POST", "/push/subscriptions", device),
    unsubscribePush: (device: { endpoint: string }) => call<void>("DELETE", "/push/subscriptions", device),
    around: (id: string, aroundSeq: number, limit: number) =>
      call<PageAround>("GET", `${conversation(id)}/messages${search({ aroundSeq, limit })}`),
    search: ({ words, ...narrowed }: Wanted, cursor: string | null) =>
      call<Page<Found>>("GET", `/search${search({ q: words, ...narrowed, cursor })}`),
  };
}

function search(query: Query): string {
  const parts = Object.entries(query).filter(([, value]) => value !== undefined && value !== null);
  return parts.length ? `?${new URLSearchParams(parts.map(([name, value]) => [name, String(value)]))}` : "";
}

/** RFC 9457, or whatever a proxy between us answered instead. */
async function problemOf(answer: Response): Promise<Failure> {
  const problem: { code?: ErrorCode; detail?: string; title?: string } = await answer
    .json()
    .catch(() => ({}));
  const after = Number(answer.headers.get("retry-after") ?? Number.NaN);
  return {
    code: problem.code ?? codeOf(answer.status),
    message: problem.detail ?? problem.title ?? `The gateway answered ${answer.status}.`,
    retryable: [429, 502, 503, 504].includes(answer.status),
    ...(after >= 0 && { retryAfterMs: after * 1000 }),
  };
}

function codeOf(status: number): ErrorCode {
  if (status === 401) return "NOT_AUTHENTICATED";
  if (status === 403) return "FORBIDDEN";
  if (status === 404) return "NOT_FOUND";
  if (status === 429) return "RATE_LIMITED";
  if (status === 502 || status === 503) return "UNAVAILABLE";
  if (status === 504) return "TIMEOUT";
  return status < 500 ? "INVALID_FRAME" : "INTERNAL";
}
