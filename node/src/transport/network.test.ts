import { describe } from "vitest";
import { Authority } from "./authority.ts";
import { describeCompliance } from "./compliance.fixture.ts";
import { type Started, startBox, until } from "./federation.fixture.ts";

const authority = await Authority.create("acme", Date.now());

describe("the gRPC network", () => {
  describeCompliance(async () => {
    const boxes: Started[] = [];
    return {
      async start(self, serve) {
        const box = await startBox(authority, self, { serve });
        boxes.push(box);
        return { network: box.network, endpoint: `127.0.0.1:${box.port}`, stop: box.stop };
      },
      settle: until,
      stop: async () => {
        for (const box of boxes) await box.stop();
      },
    };
  });
});
