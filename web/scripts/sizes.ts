import { gzipSync } from "node:zlib";
import type { Plugin } from "vite";

/** kB gzipped that a first visit may load. */
const LIMIT = 205;

/** Prints what a first visit loads (fonts of other scripts and lazy parts come later), and fails when it is too much. */
export function sizes(): Plugin {
  return {
    name: "sizes",
    apply: "build",
    generateBundle: {
      order: "post",
      handler(_, bundle) {
        const first = new Map<string, number>();
        const add = (name: string) => {
          const file = bundle[name];
          if (!file || first.has(name)) return;
          const content = file.type === "chunk" ? file.code : file.source;
          first.set(name, name.endsWith(".woff2") ? content.length : gzipSync(content).length);
          if (file.type === "chunk") file.imports.forEach(add);
        };
        for (const file of Object.values(bundle)) {
          if (file.fileName.startsWith("api/docs/")) continue; // not of the page
          // The service worker is fetched by who wants to be pushed to, and then beside the page.
          const isStart = file.type === "chunk" && file.isEntry && file.name !== "sw";
          if (isStart || /\.html$|\.css$|latin-(wght-normal|400-normal).*\.woff2$/.test(file.fileName))
            add(file.fileName);
        }
        const total = [...first.values()].reduce((sum, size) => sum + size, 0) / 1000;
        for (const [name, size] of first) console.log(`${(size / 1000).toFixed(1).padStart(7)} kB  ${name}`);
        console.log(`${total.toFixed(1).padStart(7)} kB  first visit, gzipped (limit ${LIMIT})`);
        if (total > LIMIT)
          this.error(`The first visit would load ${total.toFixed(1)} kB, more than ${LIMIT}.`);
      },
    },
  };
}
