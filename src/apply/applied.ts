import type { DesiredGuest, Fields } from "../desired/types.js";

/** What the inventory keeps of a desire that was applied in full: its fields, and the power that was declared. */
export function appliedFields(desired: DesiredGuest): Fields {
  return desired.power === undefined ? desired.fields : { ...desired.fields, power: desired.power };
}
