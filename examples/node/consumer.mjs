/**
 * Follow Palabre's events: each is handled once, though deliveries repeat and this program may be killed at any time.
 *
 *   AMQP_URL   a user that `palabre topology --reader NAME` made
 *   PREFIX     of the environment, where it has one
 *   STATE      the file that events are written to (default events.jsonl)
 *
 * What is done with an event here is one line in a file, so the line itself tells that it was done: it is on the disk before the
 * delivery is acknowledged, and an event whose id is there already is passed over.
 */
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, truncateSync, writeSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import amqp from "amqplib";

const { AMQP_URL, PREFIX = "", STATE = "events.jsonl" } = process.env;
const schema = JSON.parse(readFileSync(new URL("../../contracts/schema/events.schema.json", import.meta.url), "utf8"));
// `discriminator` is a word of OpenAPI's; an instant is checked by whoever reads it.
const ajv = new Ajv2020({ strict: false, formats: { "date-time": true } });
const isKnown = new Set(Object.keys(schema.discriminator.mapping));
const isValid = ajv.compile(schema);

/** The ids of the file's lines. A line that was not finished when we were killed is taken away: its event comes again. */
function handledBefore(file) {
  if (!existsSync(file)) return new Set();
  const bytes = readFileSync(file);
  const end = bytes.lastIndexOf("\n") + 1;
  if (end < bytes.length) truncateSync(file, end);
  const lines = bytes.toString("utf8", 0, end).split("\n").filter(Boolean);
  return new Set(lines.map((line) => JSON.parse(line).id));
}

const handled = handledBefore(STATE);
const file = openSync(STATE, "a");

/** Write it down, once. Newer types are passed over; what is malformed is said. */
function handle(body) {
  let event;
  try {
    event = JSON.parse(body);
  } catch (error) {
    console.error(`not an event: ${error.message}`);
    return;
  }
  if (!isKnown.has(event.type) || handled.has(event.id)) return;
  if (!isValid(event)) {
    console.error(`not an event: ${ajv.errorsText(isValid.errors).slice(0, 500)}`);
    return;
  }
  writeSync(file, `${JSON.stringify(event)}\n`);
  fsyncSync(file);
  handled.add(event.id);
}

const connection = await amqp.connect(AMQP_URL);
const channel = await connection.createChannel();
const user = decodeURIComponent(new URL(AMQP_URL).username);
// Durable: what happens while this program is away waits here, within the bounds of the operator's policy.
const queue = `${PREFIX}integrator.${user}.node`;
await channel.assertQueue(queue, { durable: true });
await channel.bindQueue(queue, `${PREFIX}chat.events`, "message.#");
await channel.prefetch(100);
await channel.consume(queue, (message) => {
  if (message === null) process.exit(1); // the queue is gone; whoever runs this starts it again
  handle(message.content.toString());
  channel.ack(message);
});
console.log("following");

connection.on("close", () => process.exit(1)); // likewise
process.on("SIGTERM", () => {
  connection.removeAllListeners("close");
  connection.close().then(() => {
    closeSync(file);
    process.exit(0);
  });
});
