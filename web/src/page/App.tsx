import { useCallback, useEffect, useState } from "react";
import { Chat } from "./Chat.tsx";
import { loadPageSettings, type PageSettings } from "./signin/pageSettings.ts";
import { SignIn, Welcome } from "./signin/SignIn.tsx";
import { Session } from "./signin/session.ts";
import { texts } from "./texts/index.ts";

/** Somebody signs in, then talks. */
export function App() {
  const [settings, setSettings] = useState<PageSettings | null>(null);
  const [session, setSession] = useState<Session | null>(null);
  const [notice, setNotice] = useState<string | null>(null);

  useEffect(() => {
    loadPageSettings()
      .then(async (loaded) => {
        setSession(await Session.find(loaded).catch(() => failWith(setNotice, texts.signIn.failed)));
        setSettings(loaded);
      })
      .catch(() => setNotice(texts.signIn.unreachable));
  }, []);

  const signOut = useCallback(
    (why: string | null) => {
      session?.end();
      setSession(null);
      setNotice(why);
    },
    [session],
  );

  if (session) return <Chat key={session.userId} session={session} onSignOut={signOut} />;
  if (settings) return <SignIn settings={settings} notice={notice} onSession={setSession} />;
  return <Welcome title={texts.loading} failure={notice} />;
}

function failWith(setNotice: (notice: string) => void, notice: string): null {
  setNotice(notice);
  return null;
}
