import type { KeyboardEvent } from "react";

/**
 * Whether a key belongs to an input method, which composes a word of it or takes its proposal with Enter. Safari ends
 * the composition before it tells of that Enter; by its code it is one of the input method all the same.
 */
export function isComposed({ nativeEvent }: KeyboardEvent): boolean {
  return nativeEvent.isComposing || nativeEvent.keyCode === COMPOSED;
}

const COMPOSED = 229;
