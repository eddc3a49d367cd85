import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";
import { served } from "./scripts/served.ts";
import { sizes } from "./scripts/sizes.ts";

const gateway = process.env.GATEWAY ?? "http://127.0.0.1:3000";

export default defineConfig({
  plugins: [react(), tailwindcss(), served(), sizes()],
  build: {
    // The page is told its Content-Security-Policy by the gateway: nothing may be inlined into it.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      input: { index: "index.html", sw: "src/worker/sw.ts" },
      // A service worker governs what is below its address, which must never change.
      output: { entryFileNames: ({ name }) => (name === "sw" ? "sw.js" : "assets/[name]-[hash].js") },
    },
  },
  server: {
    proxy: {
      "/api": gateway,
      "/page.json": gateway,
      "/ws": { target: gateway, ws: true },
    },
  },
});
