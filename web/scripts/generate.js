/** `npm run generate`: TypeScript types of every frame, from the JSON Schema that the contracts publish. */
import { readFile, writeFile } from "node:fs/promises";
import { compile } from "json-schema-to-typescript";

const SCHEMA = new URL("../../contracts/schema/frames.schema.json", import.meta.url);
const TARGET = new URL("../src/lib/frames.ts", import.meta.url);
const BANNER = "// Generated from contracts/schema/frames.schema.json by `npm run generate`. Do not edit.";

const schema = JSON.parse(await readFile(SCHEMA, "utf8"));
const types = await compile(schema, "Frame", {
  bannerComment: BANNER,
  additionalProperties: false,
  unreachableDefinitions: true,
  // Bounds of strings and lists are the gateway's to check; as tuples they would be unusable.
  ignoreMinAndMaxItems: true,
  style: { printWidth: 110 },
});

if (process.argv.includes("--check")) {
  const current = await readFile(TARGET, "utf8").catch(() => "");
  if (current !== types) {
    console.error("src/lib/frames.ts is stale: npm run generate");
    process.exit(1);
  }
} else {
  await writeFile(TARGET, types);
}
