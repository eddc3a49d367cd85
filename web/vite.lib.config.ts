import { defineConfig } from "vite";

// The client library for other people's pages: React and idb stay theirs.
export default defineConfig({
  publicDir: false,
  build: {
    outDir: "dist-lib",
    lib: { entry: { palabre: "src/lib/index.ts", react: "src/lib/react.ts" }, formats: ["es"] },
    minify: false,
    sourcemap: true,
    rolldownOptions: { external: [/^react(\/|$)/, "idb"] },
  },
});
