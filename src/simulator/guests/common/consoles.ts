import type { Call, Handler, Handlers } from "../../call.js";
import { fail } from "../../fault.js";
import type { Guest, GuestKind } from "../../state/model.js";

const LOWEST_PORT = 5900;

const find = (call: Call, kind: GuestKind): Guest => call.world.findGuest(kind, call.node, call.vmid);

/** The node that was asked opens consoles of other nodes' guests itself: it looks for the guest where the path says. */
function findAnywhere(call: Call, kind: GuestKind): Guest {
  const named = call.need("node");
  return call.world.findGuest(kind, named === "localhost" ? call.node : named, call.vmid);
}

/** A ticket for a console; nobody listens behind the port. */
function proxy(kind: GuestKind): Handler {
  return (call) => {
    const guest = findAnywhere(call, kind);
    const upid = call.task("vncproxy", guest.vmid, function* () {
      yield call.world.duration("vncproxy");
    });
    const stamp = call.world.seconds().toString(16).toUpperCase();
    return {
      port: String(LOWEST_PORT + (guest.vmid % 100)),
      ticket: `PVEVNC:${stamp}::${call.world.random.hex(32)}`,
      upid,
      user: call.login.name,
    };
  };
}

/** Spice needs a running guest, and a VM a display that speaks it. */
function spice(kind: GuestKind): Handler {
  return (call) => {
    const guest = find(call, kind);
    if (guest.run === undefined) fail(`${kind === "qemu" ? "VM" : "CT"} ${guest.vmid} not running`);
    if (kind === "qemu" && !/qxl/.test(guest.config["vga"] ?? "")) fail("no spice port");
    return { type: "spice", host: guest.node, proxy: guest.node, port: LOWEST_PORT };
  };
}

function callsOf(kind: GuestKind): Handlers {
  const at = `/nodes/{node}/${kind}/{vmid}`;
  return {
    [`POST ${at}/vncproxy`]: proxy(kind),
    [`POST ${at}/termproxy`]: proxy(kind),
    [`POST ${at}/spiceproxy`]: spice(kind),
  };
}

export const consoleCalls: Handlers = {
  ...callsOf("qemu"),
  ...callsOf("lxc"),
  "PUT /nodes/{node}/qemu/{vmid}/sendkey": (call) => {
    const guest = find(call, "qemu");
    if (guest.run === undefined) fail(`VM ${guest.vmid} not running`);
    return null;
  },
};
