import { usePresence } from "../../lib/react.ts";
import { useToday } from "../today.ts";
import { presenceInWords } from "./words.ts";

/** Whether a person is here, or when they were; `otherwise` while that is not known. */
export function PersonLine({ userId, otherwise }: { userId: string; otherwise: string }) {
  const presence = usePresence(userId);
  useToday();
  return presence ? presenceInWords(presence) : otherwise;
}
