/** What a rejected promise of this library holds. */
import type { ErrorCode, Error as ErrorFrame, MessageError } from "./frames.ts";
import type { Failure } from "./types.ts";

export class ChatError extends Error implements Failure {
  override readonly name = "ChatError";
  readonly code: Failure["code"];
  readonly retryable: boolean;
  readonly retryAfterMs?: number;

  constructor(failure: Failure) {
    super(failure.message);
    this.code = failure.code;
    this.retryable = failure.retryable;
    if (failure.retryAfterMs !== undefined) this.retryAfterMs = failure.retryAfterMs;
  }
}

/** Whether what was refused with this code may succeed later, unchanged; as in `contracts/errors.py`. */
export function isRetryable(code: ErrorCode): boolean {
  return code === "RATE_LIMITED" || code === "TIMEOUT" || code === "UNAVAILABLE";
}

/** What a frame refuses, and whether to try again. */
export function failureIn({ code, error, retryAfterMs }: ErrorFrame | MessageError): Failure {
  const retryable = isRetryable(code);
  return { code, message: error, retryable, ...(retryAfterMs !== undefined && { retryAfterMs }) };
}

/** The plain data of a failure, which can be kept and compared. */
export function failureOf(error: unknown): Failure {
  if (error instanceof ChatError) {
    const { code, message, retryable, retryAfterMs } = error;
    return { code, message, retryable, ...(retryAfterMs !== undefined && { retryAfterMs }) };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { code: "NETWORK", message, retryable: true };
}
