import { defineConfig } from "vite";

// The client library for other people's pages: React and idb stay theirs.
export default defineConfig({
  publicDir: false,
  build: {
    outDir: "dist-lib",
    lib: { entry: "src/lib/index.ts", formats: ["es"], fileName: "palabre" },
    minify: false,
    sourcemap: true,
    rolldownOptions: { external: [/^react(\/|$)/, "idb"] },
  },
});
