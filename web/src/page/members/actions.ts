/** What may be changed about a conversation and who is in it. */
import type { Role } from "../../lib/index.ts";
import type { Person } from "../conversations/PeoplePicker.tsx";

export interface Actions {
  search: (query: string) => Promise<Person[]>;
  rename: (name: string) => Promise<void>;
  add: (userIds: string[]) => Promise<void>;
  remove: (userId: string) => Promise<void>;
  leave: () => Promise<void>;
  setRole: (userId: string, role: Role) => Promise<void>;
  setPublic: (isPublic: boolean) => Promise<void>;
  delete: () => Promise<void>;
  /** The next page of members. */
  more: () => Promise<void>;
}
