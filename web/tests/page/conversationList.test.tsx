import { Window } from "happy-dom";
import type { ComponentProps } from "react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ConversationList } from "../../src/page/conversations/ConversationList.tsx";
import { eventually } from "../lib/support/eventually.ts";

const page = new Window();
/** The end of the list is in sight, whoever looks. */
class InSight {
  constructor(private readonly seen: (entries: { isIntersecting: boolean }[]) => void) {}
  observe = () => this.seen([{ isIntersecting: true }]);
  disconnect = () => {};
}
Object.assign(globalThis, {
  window: page,
  document: page.document,
  navigator: page.navigator,
  IntersectionObserver: InSight,
});
const { createRoot } = await import("react-dom/client");
type Root = ReturnType<typeof createRoot>;

let root: Root;
let host: HTMLElement;
const onMore = vi.fn();

beforeEach(() => {
  host = document.createElement("div");
  root = createRoot(host);
});
afterEach(() => {
  root.unmount();
  onMore.mockReset();
});

const nothing = () => {};
async function shows(changes: Partial<ComponentProps<typeof ConversationList>>): Promise<void> {
  root.render(
    <ConversationList
      items={[]}
      drafts={{}}
      currentId={null}
      isLoaded
      isLoading={false}
      hasFailed={false}
      hasMore
      onMore={onMore}
      onNew={nothing}
      onSearch={nothing}
      onChannels={nothing}
      onNotifications={nothing}
      unreadNotifications={0}
      onArchive={nothing}
      hasMoreArchived
      {...changes}
    >
      {JSON.stringify(changes)}
    </ConversationList>,
  );
  await eventually(() => host.textContent?.includes(JSON.stringify(changes)));
}

test("more are asked for while the end is in sight, but not right after a failure", async () => {
  await shows({});
  await eventually(() => onMore.mock.calls.length === 1);
  await shows({ isLoading: true });
  await shows({ hasFailed: true });
  await shows({ hasFailed: true, isLoading: true });
  await shows({ hasFailed: true, unreadNotifications: 1 }); // effects of what was shown before have run
  expect(onMore).toHaveBeenCalledTimes(1);
  await shows({});
  await eventually(() => onMore.mock.calls.length === 2);
});
