import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import type { Plugin } from "vite";

const LANGUAGES = ["en", "fr"];
const FILES = ["data.json", "messages.json"];
const require = createRequire(import.meta.url);

/** The emoji picker's data, served by ourselves at /emoji/{language}/, as its own server would. */
export function emojiData(): Plugin {
  const served = new Map(
    LANGUAGES.flatMap((language) =>
      FILES.map((file) => [
        `emoji/${language}/${file}`,
        require.resolve(`emojibase-data/${language}/${file}`),
      ]),
    ),
  );
  return {
    name: "emoji-data",
    configureServer(server) {
      server.middlewares.use(async (request, response, next) => {
        const source = served.get((request.url ?? "").slice(1));
        if (!source) return next();
        response.setHeader("content-type", "application/json");
        response.end(await readFile(source));
      });
    },
    async generateBundle() {
      for (const [fileName, source] of served)
        this.emitFile({ type: "asset", fileName, source: await readFile(source) });
    },
  };
}
