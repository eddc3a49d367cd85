/** What this person was told of while they did not look: kept by the gateway, so it is the same on all devices. */
import type { Context } from "./context.ts";
import { failureOf } from "./errors.ts";
import type { Message, ReadReceipt } from "./frames.ts";
import { withNotifications } from "./state.ts";
import type { NotificationEntry } from "./types.ts";

/** What is read within some seconds is never kept; a look before that would only have to be repeated. */
const SETTLED = 6500;
/** Where there is much to tell it takes longer: so many times that, there is another look. */
const AT_LAST = 4;

export interface Notifications {
  /** The first page, or the next. From then on it is kept up to date. */
  load(): Promise<void>;
  /** All of them, or those of one conversation, have been seen. It shows at once. */
  read(conversationId?: string): Promise<void>;
  /** Something was told just now, which is among them in a moment. */
  told(): void;
  /** A message came where this person is live; whether they look, the gateway knows by what they read. */
  saw(message: Message): void;
  /** This person has read on in a conversation, on any device. */
  receipt(frame: ReadReceipt): void;
  connected(): void;
  disconnected(): void;
  dispose(): void;
}

export function createNotifications(context: Context, settled = SETTLED): Notifications {
  const { store, rest } = context;
  let cursor: string | null = null;
  let isWanted = false; // somebody has asked for them, though the answer may have failed
  let looks = 0; // an answer that was asked for before the last look, or before a change, is out of date
  let loading: Promise<void> | null = null;
  let later: ReturnType<typeof setTimeout> | undefined;
  let due: number[] = []; // when to look, in order

  const listOf = () => store.get().notifications;
  const show = (changes: Partial<ReturnType<typeof listOf>>) =>
    store.set(withNotifications(store.get(), changes));

  async function fetchPage(after: string | null): Promise<void> {
    const look = ++looks;
    show({ isLoading: true });
    try {
      const page = await rest.notifications(after);
      if (look !== looks) return;
      cursor = page.nextCursor;
      const before = after === null ? [] : listOf().items;
      const known = new Set(page.items.map(({ id }) => id));
      const items = [...before.filter(({ id }) => !known.has(id)), ...page.items];
      const { unreadCount } = page;
      show({ items, unreadCount, hasMore: cursor !== null, isLoaded: true, failure: null });
    } catch (error) {
      if (look === looks) show({ failure: failureOf(error) });
      throw error;
    } finally {
      if (look === looks) show({ isLoading: false });
    }
  }

  /** What came just before is among them then. What comes meanwhile does not put off the next look. */
  function soon(): void {
    const now = Date.now();
    due = [...due.slice(0, 1), now + settled, now + AT_LAST * settled];
    wait();
  }

  function wait(): void {
    const [next] = due;
    if (next !== undefined) later ??= setTimeout(look, next - Date.now());
  }

  function look(): void {
    later = undefined;
    due.shift();
    refresh();
    wait();
  }

  function told(): void {
    if (isWanted) soon();
  }

  function quiet(): void {
    clearTimeout(later);
    later = undefined;
    due = [];
  }

  /** In the background: what fails is found again with the next connection. */
  function refresh(): void {
    if (isWanted) fetchPage(null).catch(() => {});
  }

  /** Those that are meant are read by now. */
  function settle(isMeant: (entry: NotificationEntry) => boolean): boolean {
    const { items, unreadCount } = listOf();
    const readAt = new Date().toISOString();
    const isNews = (entry: NotificationEntry) => entry.readAt === null && isMeant(entry);
    const count = items.filter(isNews).length;
    if (count > 0)
      show({
        items: items.map((entry) => (isNews(entry) ? { ...entry, readAt } : entry)),
        unreadCount: Math.max(0, unreadCount - count),
      });
    return count > 0;
  }

  return {
    load() {
      isWanted = true;
      const { isLoaded, hasMore } = listOf();
      if (isLoaded && !hasMore) return Promise.resolve();
      if (!isLoaded) soon();
      loading ??= fetchPage(isLoaded ? cursor : null).finally(() => {
        loading = null;
      });
      return loading;
    },
    async read(conversationId) {
      looks++;
      settle((entry) => conversationId === undefined || entry.conversationId === conversationId);
      if (conversationId === undefined) show({ unreadCount: 0 });
      try {
        await rest.readNotifications(conversationId === undefined ? { all: true } : { conversationId });
      } finally {
        refresh();
      }
    },
    told,
    saw({ mentions = [], mentionAll, senderId }) {
      const myId = store.get().me?.userId;
      if (myId !== senderId && (mentionAll || mentions.includes(myId ?? ""))) told();
    },
    receipt({ conversationId, seq, userId }) {
      if (userId !== store.get().me?.userId) return;
      settle((entry) => entry.conversationId === conversationId && (entry.seq ?? 0) <= seq);
    },
    connected() {
      // The first answer may still be on its way; if it fails, the next look is soon.
      if (listOf().isLoaded || !loading) refresh();
      told();
    },
    disconnected: quiet,
    dispose: quiet,
  };
}
