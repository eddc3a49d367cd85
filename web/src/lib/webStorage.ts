/** Words that the browser keeps. Where it denies that, as it may, they are kept in memory, for as long as the page is open. */
export interface WebStorage {
  get(key: string): string | null;
  set(key: string, value: string): void;
  remove(key: string): void;
}

/** `kept` is asked each time: where storage is denied, already looking at it throws. */
function orMemory(kept: () => Storage): WebStorage {
  const memory = new Map<string, string>(); // what the browser did not take
  return {
    get(key) {
      try {
        return memory.get(key) ?? kept().getItem(key);
      } catch {
        return null;
      }
    },
    set(key, value) {
      try {
        kept().setItem(key, value);
        memory.delete(key);
      } catch {
        memory.set(key, value);
      }
    },
    remove(key) {
      memory.delete(key);
      try {
        kept().removeItem(key);
      } catch {
        // It was never there.
      }
    },
  };
}

export const onDevice = orMemory(() => localStorage);
export const inTab = orMemory(() => sessionStorage);
