// The pages of docs/how-to, executed as their reader would: every line of their shell blocks, in the order of the page.
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freshCheckout } from "../harness/fresh-checkout.ts";
import { checkout, type Ran, shell } from "../harness/run.ts";

const pagesFolder = join(checkout, "docs/how-to");
const pageMs = 170_000;

const textOf = (page: string) => readFileSync(join(pagesFolder, `${page}.md`), "utf8");
const blocksOf = (text: string, language: string) =>
  [...text.matchAll(new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, "gs"))].map((match) => match[1]!);

/** One reader with a checkout of the own; what runs in it ends with the reader. */
class Reader {
  readonly cwd = freshCheckout();
  readonly env = { XDG_CONFIG_HOME: join(this.cwd, "config"), NEXUS_CONTEXT: "" };

  run(script: string): Promise<Ran> {
    return shell(script, { cwd: this.cwd, env: this.env, timeoutMs: pageMs });
  }

  typescript(code: string): Promise<Ran> {
    writeFileSync(join(this.cwd, "try.ts"), code);
    return this.run(`"${process.execPath}" try.ts`);
  }

  async leave(): Promise<void> {
    await this.run("./nexus down || true");
    rmSync(this.cwd, { recursive: true, force: true });
  }
}

/** In the order in which one reader goes through them, with one federation. */
const inTurn = [
  "first-federation",
  "http",
  "batch",
  "backup-and-restore",
  "switchover",
  "change-mode",
  "lost-box",
  "lost-witness",
  "full-disk",
];
/** Begins with a quickstart of its own. */
const alone = ["change-membership"];

/** Blocks for Kubernetes and containers are not this reader's: test/docs-commands.test.ts and the runs on a cluster look at them. */
const linesOf = (page: string) =>
  blocksOf(textOf(page), "sh")
    .filter((block) => !/^\s*(?:kubectl|helm|docker|make)\b/m.test(block))
    .join("\n");

test("every page that calls ./nexus is executed", () => {
  const pages = readdirSync(pagesFolder).map((name) => name.slice(0, -3));

  expect(pages.filter((page) => /\.\/nexus /.test(linesOf(page))).sort()).toEqual([...inTurn, ...alone].sort());
});

describe("one reader goes through", () => {
  let reader: Reader;
  beforeAll(() => {
    reader = new Reader();
  });
  afterAll(() => reader.leave());

  test.each(inTurn)("%s", async (page) => {
    const ran = await reader.run(linesOf(page));

    expect(ran.code, `${ran.stdout}\n${ran.stderr}`).toBe(0);
    expect(ran.stderr).not.toMatch(/^nexus: (?!PRECONDITION_FAILED)/m);
  });

  test("typescript, and the README's example", async () => {
    const [page] = blocksOf(textOf("typescript"), "ts");
    const [readme] = blocksOf(readFileSync(join(checkout, "README.md"), "utf8"), "ts");
    const first = await reader.typescript(page!);
    const second = await reader.typescript(readme!);

    expect(first, first.stderr).toMatchObject({ code: 0, stdout: expect.stringContaining("PRECONDITION_FAILED") });
    expect(second, second.stderr).toMatchObject({ code: 0, stdout: "2\n" });
  });

  test("grpc", async () => {
    const [page] = blocksOf(textOf("grpc"), "ts");
    const ran = await reader.typescript(page!);

    expect(ran, ran.stderr).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^2\nhello nexus-\d\nNOT_FOUND\n$/),
      stderr: expect.not.stringContaining("DEP0123"),
    });
  });
});

describe("from the quickstart", () => {
  let reader: Reader;
  beforeAll(async () => {
    reader = new Reader();
    const up = await reader.run("./nexus up -f examples/quickstart.yaml --detach");
    expect(up, up.stderr).toMatchObject({ code: 0 });
  });
  afterAll(() => reader.leave());

  test.each(alone)("%s", async (page) => {
    const ran = await reader.run(linesOf(page));

    expect(ran.code, `${ran.stdout}\n${ran.stderr}`).toBe(0);
    expect(ran.stdout).toContain("nexus-3 (voter)");
  });
});
