/** A token for a name, from a gateway that is set up for development. */
export async function developmentToken(userName: string): Promise<string> {
  const answer = await fetch("/api/dev/token", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ userName }),
  });
  if (!answer.ok) throw new Error(`development token: ${answer.status}`);
  const body: { token: string } = await answer.json();
  return body.token;
}
