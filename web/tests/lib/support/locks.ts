/** The part of the Web Locks API that the library uses, where Node has none; a test can end a tab with it. */
const held = new Map<string, () => void>();

const locks = {
  async request(name: string, hold: () => Promise<unknown>): Promise<void> {
    await new Promise<void>((resolve) => {
      held.set(name, resolve);
      void hold().then(() => resolve());
    });
    held.delete(name);
  },
  async query() {
    return { held: [...held.keys()].map((name) => ({ name })), pending: [] };
  },
};

export function installLocks(): void {
  Object.defineProperty(globalThis, "navigator", { value: { locks }, configurable: true, writable: true });
}

/** What a browser does when tabs are closed or crash. */
export function loseAllLocks(): void {
  for (const release of held.values()) release();
  held.clear();
}
