import { Search } from "lucide-react";
import { useEffect, useState } from "react";
import type { Page, PublicChannel } from "../../lib/index.ts";
import { Avatar } from "../parts/Avatar.tsx";
import { Button } from "../parts/buttons.tsx";
import { Dialog } from "../parts/Dialog.tsx";
import { texts } from "../texts/index.ts";
import { reasonOf } from "../texts/reason.ts";

const words = texts.channels;
const PAUSE = 200;

interface Props {
  find: (query: string, cursor: string | null) => Promise<Page<PublicChannel>>;
  join: (conversationId: string) => Promise<unknown>;
  /** It is this person's now, to be looked at. */
  onOpen: (conversationId: string) => void;
  onClose: () => void;
}

/** The channels that anybody may join. */
export default function ChannelsDialog({ find, join, onOpen, onClose }: Props) {
  const [query, setQuery] = useState("");
  const { channels, isLoading, hasMore, failure, more } = useChannels(find, query);
  const [joining, setJoining] = useState<string | null>(null);
  const [refusal, setRefusal] = useState<string | null>(null);

  const enter = async ({ id, joined }: PublicChannel) => {
    setJoining(id);
    setRefusal(null);
    try {
      if (!joined) await join(id);
      onOpen(id);
    } catch (error) {
      setRefusal(reasonOf(error));
      setJoining(null);
    }
  };
  const problem = refusal ?? failure;

  return (
    <Dialog title={words.title} onClose={onClose}>
      <div className="grid min-h-0 grid-rows-[auto_auto_minmax(0,1fr)] gap-2 px-6 pt-2 pb-5">
        <label className="flex items-center gap-2.5 rounded-full border border-line-strong bg-surface px-3.5 focus-within:outline-2 focus-within:outline-leaf">
          <Search aria-hidden="true" className="size-4.5 shrink-0 text-ink-soft" />
          <input
            type="text"
            aria-label={words.search}
            placeholder={words.search}
            value={query}
            onChange={(event) => setQuery(event.target.value)}
            className="min-h-11 min-w-0 flex-1 bg-transparent outline-none"
          />
        </label>
        <p role="alert" className={problem ? "text-danger text-sm" : "sr-only"}>
          {problem && texts.members.failed(problem)}
        </p>
        <div className="h-80 max-h-[50dvh] overflow-y-auto">
          <ul aria-busy={isLoading} className="grid gap-0.5">
            {channels.map((channel) => (
              <li key={channel.id} className="flex items-center gap-3 rounded-2xl px-1 py-1.5">
                <Avatar id={channel.id} name={channel.name} kind="channel" />
                <p className="min-w-0 flex-1">
                  <bdi className="block truncate font-semibold leading-snug">{channel.name}</bdi>
                  <span className="text-ink-soft text-xs">{texts.members.list(channel.memberCount)}</span>
                </p>
                <Button
                  look={channel.joined ? "quiet" : "primary"}
                  disabled={joining === channel.id}
                  aria-label={channel.joined ? words.openNamed(channel.name) : words.joinNamed(channel.name)}
                  onClick={() => void enter(channel)}
                >
                  {channel.joined ? words.open : words.join}
                </Button>
              </li>
            ))}
          </ul>
          <p role="status" className={channels.length ? "sr-only" : "px-4 py-8 text-center text-ink-soft"}>
            {!isLoading && channels.length === 0 && words.none}
          </p>
          {hasMore && (
            <Button className="mt-2 w-full" onClick={more}>
              {words.more}
            </Button>
          )}
        </div>
      </div>
    </Dialog>
  );
}

function useChannels(find: Props["find"], query: string) {
  const [channels, setChannels] = useState<readonly PublicChannel[]>([]);
  const [cursor, setCursor] = useState<string | null>(null);
  const [isLoading, setLoading] = useState(true);
  const [failure, setFailure] = useState<string | null>(null);

  useEffect(() => {
    let isWanted = true;
    const later = setTimeout(
      () => {
        find(query.trim(), null)
          .then(
            (page) => {
              if (!isWanted) return;
              setChannels(page.items);
              setCursor(page.nextCursor);
              setFailure(null);
            },
            (error) => isWanted && setFailure(reasonOf(error)),
          )
          .finally(() => isWanted && setLoading(false));
      },
      query ? PAUSE : 0,
    );
    return () => {
      isWanted = false;
      clearTimeout(later);
    };
  }, [find, query]);

  const more = () => {
    setCursor(null); // pressed twice, it is asked for once
    find(query.trim(), cursor).then(
      (page) => {
        setChannels((before) => [...before, ...page.items]);
        setCursor(page.nextCursor);
      },
      (error) => {
        setFailure(reasonOf(error));
        setCursor(cursor);
      },
    );
  };
  return { channels, isLoading, hasMore: cursor !== null, failure, more };
}
