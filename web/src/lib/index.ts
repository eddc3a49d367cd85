/** Palabre's client library without React; `react.ts` is the same with the hook. */

export { createChat } from "./chat.ts";
export { ChatError } from "./errors.ts";
export { type Action, may } from "./rights.ts";
export type * from "./types.ts";
export { TokenUnavailable } from "./types.ts";
