/** Who is signed in, in this tab: two tabs may be two people. */
import { TokenUnavailable } from "../../lib/index.ts";
import { inTab } from "../../lib/webStorage.ts";
import { developmentToken } from "./development.ts";
import { isEmbedded, tokenFromHost, tokenInAddress } from "./host.ts";
import { renewAtProvider, returnFromProvider } from "./oidc.ts";
import type { PageSettings } from "./pageSettings.ts";
import { claimsOf } from "./token.ts";

/** Where the token came from, which is where the next one comes from. */
type Source = { kind: "development" } | { kind: "host" } | { kind: "provider"; refreshToken: string | null };

interface Kept {
  token: string;
  source: Source;
}

const KEY = "palabre.session";
const SOON = 30_000;

export class Session {
  /** The one that is under way, whoever asks: a refresh token may be good for one time only. */
  private renewing: Promise<string> | null = null;

  private constructor(
    private readonly settings: PageSettings,
    private kept: Kept,
  ) {
    this.keep(kept);
  }

  /** The session that this tab has, or is given now; null when the person must do something. */
  static async find(settings: PageSettings): Promise<Session | null> {
    const given = tokenInAddress();
    if (given) return Session.start(settings, given, { kind: "host" });
    const back = settings.oidc && (await returnFromProvider(settings.oidc));
    if (back)
      return Session.start(settings, back.token, { kind: "provider", refreshToken: back.refreshToken });
    if (isEmbedded() && settings.hostOrigins.length)
      return Session.start(settings, await tokenFromHost(settings.hostOrigins), { kind: "host" });
    const kept = keptSession();
    return kept && claimsOf(kept.token) ? new Session(settings, kept) : null;
  }

  static async signInAs(settings: PageSettings, name: string): Promise<Session | null> {
    return Session.start(settings, await developmentToken(name), { kind: "development" });
  }

  private static start(settings: PageSettings, token: string, source: Source): Session | null {
    return claimsOf(token) ? new Session(settings, { token, source }) : null;
  }

  get userId(): string {
    return claimsOf(this.kept.token)?.userId ?? "";
  }

  get userName(): string {
    return claimsOf(this.kept.token)?.userName ?? "";
  }

  /** A token that is good for some time. Throws TokenUnavailable, or what the network says. */
  async token(isRefused = false): Promise<string> {
    const claims = claimsOf(this.kept.token);
    if (!isRefused && claims && claims.expiresAt - SOON > Date.now()) return this.kept.token;
    this.renewing ??= this.renew().finally(() => {
      this.renewing = null;
    });
    return this.renewing;
  }

  end(): void {
    inTab.remove(KEY);
  }

  private async renew(): Promise<string> {
    const { userId } = this;
    const renewed = await this.next();
    if (claimsOf(renewed.token)?.userId !== userId)
      throw new TokenUnavailable("the new token is somebody else's");
    this.keep(renewed);
    return renewed.token;
  }

  private async next(): Promise<Kept> {
    const { source } = this.kept;
    if (source.kind === "development") return { token: await developmentToken(this.userName), source };
    if (source.kind === "host" && isEmbedded())
      return { token: await tokenFromHost(this.settings.hostOrigins), source };
    if (source.kind === "provider" && source.refreshToken && this.settings.oidc) {
      const { token, refreshToken } = await renewAtProvider(this.settings.oidc, source.refreshToken);
      return { token, source: { kind: "provider", refreshToken } };
    }
    throw new TokenUnavailable("the token has ended");
  }

  private keep(kept: Kept): void {
    this.kept = kept;
    inTab.set(KEY, JSON.stringify(kept));
  }
}

function keptSession(): Kept | null {
  const kept = inTab.get(KEY);
  return kept ? JSON.parse(kept) : null;
}
