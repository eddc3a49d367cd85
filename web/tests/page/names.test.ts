import { describe, expect, it } from "vitest";
import { foldedForSearch, titleOf } from "../../src/page/conversations/names.ts";
import { initials } from "../../src/page/parts/Avatar.tsx";
import { claimsOf } from "../../src/page/signin/token.ts";
import { en } from "../../src/page/texts/en.ts";
import { fr } from "../../src/page/texts/fr.ts";
import { textsFor } from "../../src/page/texts/index.ts";

const people = [
  { userId: "me", userName: "Me" },
  { userId: "b", userName: "Bob" },
];

describe("a conversation is called", () => {
  it("by its name, by the others, or by nothing", () => {
    const titled = (name: string | null, members = people) =>
      titleOf({ id: "1", type: "group", name, members }, "me", en.conversations);
    expect(titled("Walk")).toBe("Walk");
    expect(titled(null)).toBe("Bob");
    expect(titled(null, people.slice(0, 1))).toBe("Only you");
    expect(titled(null, [])).toBe("Unnamed conversation");
  });

  it("and found without case and accents", () => {
    expect(foldedForSearch(" Hélène ")).toBe("helene");
  });
});

describe("initials", () => {
  it.each([
    ["Amina Diallo", "AD"],
    ["bob", "B"],
    ["Jean-Luc de la Tour", "JT"],
    ["明 王", "明王"],
    ["<b>x</b>", "B"],
    ["", "?"],
  ])("of %s are %s", (name, letters) => expect(initials(name)).toBe(letters));
});

describe("texts", () => {
  it("are in the first wanted language that we speak", () => {
    expect(textsFor(["de-AT", "fr-CA", "en"])).toBe(fr);
    expect(textsFor(["de"])).toBe(en);
  });

  it("count as each language does", () => {
    expect(en.members.list(1)).toBe("1 member");
    expect(en.members.list(0)).toBe("0 members");
    expect(fr.members.list(0)).toBe("0\u00a0membre");
    expect(fr.members.list(2)).toBe("2\u00a0membres");
  });
});

describe("a token", () => {
  const token = (claims: object) => `x.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.x`;

  it("says who it is for", () => {
    expect(claimsOf(token({ sub: "u1", name: "Zoé", exp: 10 }))).toMatchObject({
      userId: "u1",
      userName: "Zoé",
      expiresAt: 10_000,
    });
    expect(claimsOf(token({ userId: "u2", exp: 10 }))?.userName).toBe("u2");
  });

  it.each(["", "not a token", "a.b.c", token({ sub: "u1" })])("%j is none", (text) =>
    expect(claimsOf(text)).toBeNull(),
  );
});
