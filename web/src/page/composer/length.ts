/** How the gateway counts: code points of the trimmed text, 8,000 at most. */
export const LONGEST = 8000;
const NEAR = 500;

/** Characters that are left, when that is worth saying; negative when there are too many. */
export function remaining(text: string): number | null {
  if (text.length < LONGEST - NEAR) return null;
  const left = LONGEST - [...text.trim()].length;
  return left < NEAR ? left : null;
}
