import type { Call, Handler, Handlers } from "../call.js";
import { MORE_SHAPES } from "../indexes.js";

const NAMES = MORE_SHAPES.get("GET /nodes/{node}/services/{service}/state")?.params["service"]?.enum ?? [];

const row = (service: string): Record<string, string> => ({
  service,
  name: service,
  desc: `${service} (simulated)`,
  state: "running",
  "active-state": "active",
  "unit-state": "enabled",
});

/** A service takes the command as a task; the simulated ones always run. */
function command(verb: string): Handler {
  return (call: Call) =>
    call.task(`srv${verb}`, call.need("service"), function* () {
      yield call.world.duration(`srv${verb}`);
    });
}

export const serviceCalls: Handlers = {
  "GET /nodes/{node}/services": () => NAMES.map(row),
  "GET /nodes/{node}/services/{service}/state": (call) => row(call.need("service")),
  ...Object.fromEntries(
    ["start", "stop", "restart", "reload"].map((verb) => [
      `POST /nodes/{node}/services/{service}/${verb}`,
      command(verb),
    ]),
  ),
};
