import { exactTimeOf, shortTime } from "../time.ts";
import { useToday } from "../today.ts";

/** When something was, as short as can be understood today. */
export function When({ at, className }: { at: Date; className: string }) {
  useToday();
  return (
    <time dateTime={at.toISOString()} title={exactTimeOf(at)} className={className}>
      {shortTime(at)}
    </time>
  );
}
