/** What the gateway tells its page: how people sign in here. */
export interface PageSettings {
  developmentSignIn: boolean;
  oidc: { issuer: string; clientId: string } | null;
  hostOrigins: string[];
}

export async function loadPageSettings(): Promise<PageSettings> {
  const answer = await fetch("/page.json");
  if (!answer.ok) throw new Error(`page.json: ${answer.status}`);
  return answer.json();
}
