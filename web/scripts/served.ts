import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import type { Plugin } from "vite";

const LANGUAGES = ["en", "fr"];
const FILES = ["data.json", "messages.json"];
const require = createRequire(import.meta.url);

/** Files of packages that are served by ourselves as they are, never from elsewhere: by address, where they are found. */
const SERVED = new Map([
  // The emoji picker's data, as its own server would.
  ...LANGUAGES.flatMap((language) =>
    FILES.map((file) => [`emoji/${language}/${file}`, `emojibase-data/${language}/${file}`] as const),
  ),
  // The description of the API, beside public/api/docs.
  ["api/docs/swagger-ui.js", "swagger-ui-dist/swagger-ui-bundle.js"],
  ["api/docs/swagger-ui.css", "swagger-ui-dist/swagger-ui.css"],
]);
const TYPES = { json: "application/json", js: "text/javascript", css: "text/css" } as const;

export function served(): Plugin {
  const read = (source: string) => readFile(require.resolve(source));
  return {
    name: "served",
    configureServer(server) {
      server.middlewares.use(async (request, response, next) => {
        const name = (request.url ?? "").slice(1);
        const source = SERVED.get(name);
        if (!source) return next();
        response.setHeader("content-type", TYPES[name.split(".").at(-1) as keyof typeof TYPES]);
        response.end(await read(source));
      });
    },
    async generateBundle() {
      for (const [fileName, source] of SERVED)
        this.emitFile({ type: "asset", fileName, source: await read(source) });
    },
  };
}
