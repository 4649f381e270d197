import type { Condition } from "../../api/conditions.ts";
import type { Action } from "../../planner/actions.ts";
import { federationKey } from "../../planner/faults.ts";

type News = Extract<Action, { type: "raiseCondition" }>;

/** What the rounds of one federation said so far, and how long they have had nothing new to say. */
export class Rounds {
  /** By "Kind/name", as they were raised last. */
  readonly conditions = new Map<string, Condition[]>();
  /** Rounds since the last one with news. */
  quiet = 0;

  /** Takes over what a plan says and forgets objects that nobody declares any more. Answers the news. */
  note(actions: readonly Action[], isDeclared: (object: string) => boolean): News[] {
    const news = actions.filter((action) => action.type === "raiseCondition");
    this.quiet = news.length > 0 ? 0 : this.quiet + 1;
    for (const { object, condition } of news) {
      const others = (this.conditions.get(object) ?? []).filter((each) => each.type !== condition.type);
      this.conditions.set(object, [...others, condition]);
    }
    for (const object of this.conditions.keys())
      if (object !== federationKey && !isDeclared(object)) this.conditions.delete(object);
    return news;
  }

  /** Some object is on its way to what was asked. */
  get isMoving(): boolean {
    return [...this.conditions.values()].some((list) =>
      list.some((each) => each.type === "Reconciling" && each.status === "True"),
    );
  }
}
