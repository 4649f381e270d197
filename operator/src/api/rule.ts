export interface Rule<Spec> {
  /** Field below spec that a person must change, dotted. */
  field: string;
  /** CEL over `self` (and `oldSelf` in a rule with `transition`). */
  cel: string;
  sentence: string;
  holds: (self: Spec, old: Spec) => boolean;
  /** The rule compares with the object's earlier state and says nothing about a new one. */
  transition?: true;
}

/** A required or defaulted field that keeps its first value. */
export function immutable<Spec>(field: keyof Spec & string, why: string): Rule<Spec> {
  return {
    field,
    cel: `self.${field} == oldSelf.${field}`,
    sentence: `${field} cannot be changed: ${why}. Create a new object instead.`,
    holds: (self, old) => self[field] === old[field],
    transition: true,
  };
}
