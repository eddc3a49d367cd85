/** Which tabs of this person live, so that what a dead one left unsent is taken over, and what they tell each other. */

export interface Tab {
  readonly id: string;
  /** The ids of all tabs that live, this one included; null where the browser cannot say. */
  living(): Promise<ReadonlySet<string> | null>;
  tell(news: News): void;
  /** Ends it: others may take over what it left. */
  release(): void;
}

export interface News {
  readonly type: "signed_out";
}

export function enterTab(userId: string, id: string, hear: (news: News) => void): Tab {
  const prefix = `palabre:${userId}:tab:`;
  // Only pages from https or this host have locks.
  const locks = globalThis.navigator?.locks;
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  // Held for as long as this tab lives: the browser lets go of it with the tab, however it ends.
  locks?.request(prefix + id, () => held).catch(() => {});
  const channel = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel(`palabre:${userId}`);
  if (channel) channel.onmessage = (event: MessageEvent<News>) => hear(event.data);

  return {
    id,
    async living() {
      const found = await locks?.query().catch(() => null);
      if (!found) return null;
      const names = (found.held ?? []).map(({ name = "" }) => name);
      return new Set(
        names.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length)),
      );
    },
    tell: (news) => channel?.postMessage(news),
    release() {
      release();
      channel?.close();
    },
  };
}
