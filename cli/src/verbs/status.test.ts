import { expect, test } from "vitest";
import { problemText } from "./status.ts";

test("a refused hand-over of rules is a sentence", () => {
  const text = problemText({ subject: "installRules 5", message: "/docs holds 3 files" });

  expect(text).toBe("the rules of epoch 5 are not in force yet: /docs holds 3 files");
  expect(problemText({ subject: "setDrain a true", message: "no" })).toBe("setDrain a true: no");
});
