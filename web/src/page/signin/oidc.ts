/** OpenID Connect for a page without a secret: authorization code with PKCE (RFC 7636). */
import { TokenUnavailable } from "../../lib/index.ts";
import { inTab } from "../../lib/webStorage.ts";
import { claimsOf } from "./token.ts";

export interface Provider {
  issuer: string;
  clientId: string;
}

interface Endpoints {
  authorization_endpoint: string;
  token_endpoint: string;
}

/** What must survive the way to the provider and back. */
interface Errand {
  verifier: string;
  state: string;
  nonce: string;
  hash: string;
}

export interface Tokens {
  token: string;
  refreshToken: string | null;
}

const KEY = "palabre.oidc";
const redirectUri = () => `${location.origin}/`;

/** A name for the profile, and an address for who wants mails. */
const SCOPE = "openid profile email";

/** Leave for the provider's page. It comes back to ours with a code. */
export async function leaveForProvider(provider: Provider): Promise<void> {
  const { authorization_endpoint } = await discover(provider);
  const errand: Errand = { verifier: random(), state: random(), nonce: random(), hash: location.hash };
  inTab.set(KEY, JSON.stringify(errand));
  const address = new URL(authorization_endpoint);
  const asked = {
    response_type: "code",
    client_id: provider.clientId,
    redirect_uri: redirectUri(),
    scope: SCOPE,
    state: errand.state,
    nonce: errand.nonce,
    code_challenge: await challenge(errand.verifier),
    code_challenge_method: "S256",
  };
  for (const [name, value] of Object.entries(asked)) address.searchParams.set(name, value);
  location.assign(address);
}

/** The tokens, where this is the way back; null where it is not. */
export async function returnFromProvider(provider: Provider): Promise<Tokens | null> {
  const answer = new URLSearchParams(location.search);
  const kept = inTab.get(KEY);
  if (!answer.has("state") || !kept) return null;
  inTab.remove(KEY);
  const errand: Errand = JSON.parse(kept);
  history.replaceState(null, "", `${location.pathname}${errand.hash}`);
  const code = answer.get("code");
  if (answer.get("state") !== errand.state || !code)
    throw new Error(answer.get("error") ?? "sign-in was interrupted");
  const tokens = await redeem(provider, {
    grant_type: "authorization_code",
    code,
    redirect_uri: redirectUri(),
    code_verifier: errand.verifier,
  });
  if (claimsOf(tokens.token)?.nonce !== errand.nonce) throw new Error("the token is not of this sign-in");
  return tokens;
}

export function renewAtProvider(provider: Provider, refreshToken: string): Promise<Tokens> {
  return redeem(provider, {
    grant_type: "refresh_token",
    refresh_token: refreshToken,
    scope: SCOPE,
  });
}

async function redeem(provider: Provider, grant: Record<string, string>): Promise<Tokens> {
  const { token_endpoint } = await discover(provider);
  const answer = await fetch(token_endpoint, {
    method: "POST",
    body: new URLSearchParams({ ...grant, client_id: provider.clientId }),
  });
  // What the provider refuses it will refuse again; anything else may be better in a while (RFC 6749, 5.2).
  if (answer.status === 400 || answer.status === 401)
    throw new TokenUnavailable(`the provider refused: ${answer.status}`);
  if (!answer.ok) throw new Error(`token endpoint: ${answer.status}`);
  const body: { id_token?: string; refresh_token?: string } = await answer.json();
  if (!body.id_token) throw new Error("the provider gave no id_token");
  return { token: body.id_token, refreshToken: body.refresh_token ?? grant.refresh_token ?? null };
}

async function discover(provider: Provider): Promise<Endpoints> {
  const answer = await fetch(`${provider.issuer.replace(/\/$/, "")}/.well-known/openid-configuration`);
  if (!answer.ok) throw new Error(`OpenID configuration: ${answer.status}`);
  return answer.json();
}

const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

async function challenge(verifier: string): Promise<string> {
  return base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier))));
}

function base64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}
