/** What the parts of one chat share. */
import type { ClientFrame } from "./frames.ts";
import type { Outbox } from "./outbox.ts";
import type { Rest } from "./rest.ts";
import type { Storage } from "./storage.ts";
import type { Store } from "./store.ts";
import type { ChatEvent, ChatState } from "./types.ts";

export interface Context {
  readonly store: Store<ChatState>;
  readonly rest: Rest;
  readonly outbox: Outbox;
  readonly pageSize: number;
  /** Resolves when what this device keeps of this person has been read. */
  readonly storage: Promise<Storage>;
  isConnected(): boolean;
  send(frame: ClientFrame): boolean;
  emit(event: ChatEvent): void;
}
