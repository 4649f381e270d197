// What clients see of a listing's place. Inside it is the last name that was looked at; given to clients as it is, any
// text could be sent back, and a page would begin where no page ended. So it leaves marked, by every door, and what
// lacks the mark is refused.
import type { Request, Response } from "@nexus-federation/proto/request.ts";
import { isRefusal, type Refusal, refuse } from "../base/errors.ts";
import type { BoxApi, Caller } from "../box/api.ts";
import { refusedResponse } from "./callers.ts";

const mark = "p1.";

/** The box as its clients' doors see it: tokens of pages in the place of names. */
export function withPageTokens(box: BoxApi): BoxApi {
  return {
    box: box.box,
    federation: box.federation,
    region: box.region,
    admin: box.admin,
    handle: (request, caller, done) =>
      request.op?.$case === "list" ? list(box, { request, caller }, done) : box.handle(request, caller, done),
    upload: (header, caller) => box.upload(header, caller),
    download: (request, caller, signal) => box.download(request, caller, signal),
    watch: (request, caller, signal) => box.watch(request, caller, signal),
    health: () => box.health(),
  };
}

function list(
  box: BoxApi,
  { request, caller }: { request: Request; caller: Caller },
  done: (response: Response) => void,
): void {
  if (request.op?.$case !== "list") return;
  const page = nameBehind(request.op.value.page);
  if (isRefusal(page)) return done(refusedResponse(request.id, page));
  const op = { $case: "list" as const, value: { ...request.op.value, page } };
  box.handle({ ...request, op }, caller, (response) => {
    const { result } = response;
    if (result?.$case !== "listing") return done(response);
    done({ ...response, result: { ...result, value: { ...result.value, nextPage: tokenOf(result.value.nextPage) } } });
  });
}

function tokenOf(name: string): string {
  return name === "" ? "" : `${mark}${Buffer.from(name).toString("base64url")}`;
}

/** Where the listing goes on; a refusal when no listing gave that token. */
function nameBehind(token: string): string | Refusal {
  const name = token.startsWith(mark) ? Buffer.from(token.slice(mark.length), "base64url").toString() : "";
  return tokenOf(name) === token ? name : refuse("INVALID", "page: the nextPage of the page before is expected");
}
