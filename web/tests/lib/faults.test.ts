import { afterEach, expect, test } from "vitest";
import { type Client, range, type Scene, startScene } from "./support/chats.ts";
import { eventually } from "./support/eventually.ts";

let scene: Scene | undefined;
afterEach(() => scene?.end());

/** The same numbers for the same seed, so that a failure can be repeated. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 4_294_967_296;
    return state / 4_294_967_296;
  };
}

test.each([1, 2, 3, 4])(
  "whatever is lost or cut, two people end with the same messages, once and in order (%i)",
  async (seed) => {
    const random = seeded(seed);
    scene = await startScene();
    const { gateway } = scene;
    gateway.resumeLimit = 15;
    gateway.addRoom("room", ["alice", "bob"]);
    let isFaulty = true;
    gateway.on("send_message", (frame, peer) => {
      if (frame.type !== "send_message") return;
      const fate = isFaulty ? random() : 1;
      if (fate < 0.08) return peer.cut();
      gateway.store(frame, peer);
      if (fate < 0.12) peer.cut();
    });
    gateway.on("join_conversation", (frame, peer) => {
      gateway.answer(frame, peer);
      const say = peer.say;
      peer.say = (said) => {
        if (said.type !== "new_message" || !isFaulty || random() > 0.05) say(said);
      };
    });
    const quick = { timing: { pingInterval: 40 } };
    const alice = scene.join({ pageSize: 10 }, quick);
    const bob = scene.join({ pageSize: 10, getToken: () => "bob" }, quick);
    const people: [Client, string][] = [
      [alice, "a"],
      [bob, "b"],
    ];
    const orders = new Map<Client, number[]>(people.map(([client]) => [client, []]));
    for (const [client, mark] of people) {
      client.chat.open("room");
      client.chat.listen((event) => event.type === "message" && orders.get(client)?.push(event.message.seq));
      for (const n of range(1, 60)) client.chat.send("room", `${mark}${n}`);
    }
    await eventually(() => gateway.rooms.get("room")?.messages.length === 120, "all are stored", 12_000);
    isFaulty = false;
    for (const [client, mark] of people) {
      await eventually(() => client.seqs("room").at(-1) === 120, "all are here");
      await client.settled("room");
      expect(client.seqs("room")).toEqual(range(1, 120));
      expect(orders.get(client)).toEqual(range(1, 120));
      const own = client.contents("room").filter((content) => content.startsWith(mark));
      expect(own).toEqual(range(1, 60).map((n) => `${mark}${n}`));
    }
    expect(alice.contents("room")).toEqual(bob.contents("room"));
  },
);
