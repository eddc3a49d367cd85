import { ChatError } from "../../lib/index.ts";
import { texts } from "./index.ts";

/** Why something failed, in the person's language where we have words for it. */
export function reasonOf(error: unknown): string {
  if (error instanceof ChatError) return texts.reasons[error.code] ?? error.message;
  return error instanceof Error ? error.message : String(error);
}
