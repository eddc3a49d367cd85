/** What the page reads of a token. Whether it is good is the gateway's to say. */
export interface Claims {
  userId: string;
  userName: string;
  /** Milliseconds since 1970. */
  expiresAt: number;
  nonce: string | undefined;
}

export function claimsOf(token: string): Claims | null {
  try {
    const payload = token.split(".")[1] ?? "";
    const bytes = Uint8Array.from(atob(payload.replaceAll("-", "+").replaceAll("_", "/")), (c) =>
      c.charCodeAt(0),
    );
    const claims: Record<string, unknown> = JSON.parse(new TextDecoder().decode(bytes));
    const userId = claims.sub ?? claims.userId;
    if (typeof userId !== "string" || typeof claims.exp !== "number") return null;
    return {
      userId,
      userName: typeof claims.name === "string" && claims.name ? claims.name : userId,
      expiresAt: claims.exp * 1000,
      nonce: typeof claims.nonce === "string" ? claims.nonce : undefined,
    };
  } catch {
    return null;
  }
}
