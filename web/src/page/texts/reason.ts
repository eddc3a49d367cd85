import { ChatError, type Failure } from "../../lib/index.ts";
import { texts } from "./index.ts";

/** Why something failed, in the person's language where we have words for it. */
export function reasonOf(error: unknown): string {
  if (error instanceof ChatError) return texts.reasons[error.code] ?? error.message;
  return error instanceof Error ? error.message : String(error);
}

/** The same of what was asked for messages: what is forbidden there is not always what only an admin may do. */
export function refusalOf(failure: Failure): string {
  return failure.code === "FORBIDDEN" ? texts.messages.forbidden : reasonOf(new ChatError(failure));
}
