import { type FormEvent, type ReactNode, useState } from "react";
import { Button } from "../parts/buttons.tsx";
import { Canopy } from "../parts/Canopy.tsx";
import { Mark } from "../parts/Mark.tsx";
import { texts } from "../texts/index.ts";
import { leaveForProvider } from "./oidc.ts";
import type { PageSettings } from "./pageSettings.ts";
import { Session } from "./session.ts";

const words = texts.signIn;
const NAME_LENGTH = 200;
const FIELD =
  "w-full min-h-12 rounded-2xl border border-line-strong bg-surface px-4 text-base outline-offset-1 placeholder:text-ink-soft";

interface Props {
  settings: PageSettings;
  /** Why the person is here again. */
  notice: string | null;
  onSession: (session: Session) => void;
}

/** The page of somebody who is not signed in: the ways in that this server offers. */
export function SignIn({ settings, notice, onSession }: Props) {
  const [failure, setFailure] = useState<string | null>(notice);
  const provider = settings.oidc;
  const isNowhere = !provider && !settings.developmentSignIn;
  return (
    <Welcome title={words.title} failure={failure}>
      {provider && (
        <div className="grid gap-3">
          <p className="text-ink-soft">{words.providerIntro}</p>
          <Button
            look="primary"
            className="min-h-12"
            onClick={() => leaveForProvider(provider).catch(() => setFailure(words.failed))}
          >
            {words.withProvider}
          </Button>
        </div>
      )}
      {settings.developmentSignIn && (
        <NameForm settings={settings} onSession={onSession} onFailure={setFailure} />
      )}
      {isNowhere && <p className="text-ink-soft">{words.noWay}</p>}
    </Welcome>
  );
}

/** The tree, a heading, and what is under it. */
export function Welcome(props: { title: string; failure?: string | null; children?: ReactNode }) {
  return (
    <main className="grid h-full grid-rows-[1fr_auto] overflow-y-auto bg-ground">
      <div className="m-auto grid w-full max-w-md gap-6 px-6 py-8">
        <Canopy className="-mb-2 w-full animate-[rise_500ms_ease-out]" />
        <div className="grid gap-5 rounded-3xl border border-line bg-raised p-7 shadow-(--shadow-lift) max-sm:p-6">
          <p className="flex items-center gap-2 font-display text-leaf">
            <Mark className="size-6" />
            {texts.appName}
          </p>
          <h1 className="font-display text-[1.75rem] leading-tight">{props.title}</h1>
          <p
            role="alert"
            className={props.failure ? "rounded-xl bg-earth-soft px-4 py-2.5 text-earth" : "sr-only"}
          >
            {props.failure}
          </p>
          {props.children}
        </div>
      </div>
    </main>
  );
}

interface NameFormProps {
  settings: PageSettings;
  onSession: (session: Session) => void;
  onFailure: (failure: string | null) => void;
}

function NameForm({ settings, onSession, onFailure }: NameFormProps) {
  const [name, setName] = useState("");
  const [isBusy, setBusy] = useState(false);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (!name.trim()) return;
    setBusy(true);
    onFailure(null);
    try {
      const session = await Session.signInAs(settings, name.trim());
      if (session) onSession(session);
    } catch (error) {
      onFailure(error instanceof TypeError ? words.unreachable : words.failed);
      setBusy(false);
    }
  };
  return (
    <form onSubmit={submit} className="grid gap-4">
      <p className="text-ink-soft">{words.intro}</p>
      <label className="grid gap-1.5 font-semibold text-sm">
        {words.name}
        <input
          // biome-ignore lint/a11y/noAutofocus: it is the one thing to do here
          autoFocus
          required
          maxLength={NAME_LENGTH}
          autoComplete="nickname"
          placeholder={words.namePlaceholder}
          value={name}
          onChange={(event) => setName(event.target.value)}
          className={`${FIELD} font-normal`}
        />
      </label>
      <Button type="submit" look="primary" disabled={isBusy} className="min-h-12">
        {words.submit}
      </Button>
      <p className="text-ink-soft text-sm">{words.development}</p>
    </form>
  );
}
