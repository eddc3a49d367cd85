import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["tests/**/*.test.{ts,tsx}"],
    testTimeout: 15_000,
    // The machine that runs these runs the services too.
    maxWorkers: 2,
  },
});
