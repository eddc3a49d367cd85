import { Window } from "happy-dom";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { TokenUnavailable } from "../../src/lib/index.ts";
import { Session } from "../../src/page/signin/session.ts";

const ISSUER = "https://sign-in.example.org";
const SETTINGS = {
  developmentSignIn: false,
  oidc: { issuer: ISSUER, clientId: "page" },
  hostOrigins: [],
};

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
const tokenFor = (seconds: number, sub = "amina") =>
  `${part({})}.${part({ sub, exp: Math.floor(Date.now() / 1000) + seconds })}.signature`;

/** What the token endpoint was asked for. */
let asked: string[];
let answer: () => Response;

beforeEach(() => {
  const window = new Window({ url: "https://chat.example.org/" });
  for (const name of ["window", "location", "history", "sessionStorage"] as const)
    vi.stubGlobal(name, name === "window" ? window : window[name]);
  asked = [];
  answer = () => Response.json({ id_token: tokenFor(3600), refresh_token: `r${asked.length}` });
  vi.stubGlobal("fetch", async (url: string, { body }: { body?: URLSearchParams } = {}) => {
    if (url.endsWith("/openid-configuration")) return Response.json({ token_endpoint: `${ISSUER}/token` });
    asked.push(body?.get("refresh_token") ?? "");
    return answer();
  });
});
afterEach(() => vi.unstubAllGlobals());

/** Of a tab that was signed in before, with a token that has ended. */
async function session(): Promise<Session> {
  const source = { kind: "provider", refreshToken: "r0" };
  sessionStorage.setItem("palabre.session", JSON.stringify({ token: tokenFor(-1), source }));
  const found = await Session.find(SETTINGS);
  if (!found) throw new Error("no session");
  return found;
}

describe("a token that has ended is renewed", () => {
  test("once, however many ask at the same time", async () => {
    const amina = await session();
    const tokens = await Promise.all([amina.token(), amina.token(true), amina.token()]);
    expect(new Set(tokens).size).toBe(1);
    expect(asked).toEqual(["r0"]);
    await amina.token(true);
    expect(asked).toEqual(["r0", "r1"]);
  });

  test.each([400, 401])(
    "not where the provider refuses with %d: the person has to sign in",
    async (status) => {
      const amina = await session();
      answer = () => Response.json({ error: "invalid_grant" }, { status });
      await expect(amina.token()).rejects.toThrow(TokenUnavailable);
    },
  );

  test.each([429, 500, 503])("in a while where the provider answers %d", async (status) => {
    const amina = await session();
    answer = () => new Response(null, { status });
    const error = await amina.token().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(Error);
    expect(error).not.toBeInstanceOf(TokenUnavailable);
  });

  test("by the next attempt where the provider could not be reached", async () => {
    const amina = await session();
    answer = () => {
      throw new TypeError("Failed to fetch");
    };
    await expect(amina.token()).rejects.toThrow(TypeError);
    answer = () => Response.json({ id_token: tokenFor(3600) });
    await expect(amina.token()).resolves.toEqual(expect.any(String));
  });
});
