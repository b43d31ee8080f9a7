import { createHash } from "node:crypto";
import type { Call, Handlers } from "../call.js";
import { fail } from "../fault.js";
import { API_VERSION } from "../table/table.js";

const sha1 = (text: string): string => createHash("sha1").update(text).digest("hex");

function hosts(call: Call): unknown {
  const lines = Object.values(call.state.nodes).map(({ name, ip }) => `${ip} ${name}.example.org ${name}\n`);
  const data = `127.0.0.1 localhost\n${lines.join("")}`;
  return { data, digest: sha1(data) };
}

/** POST wakeonlan: the path names whom to wake, whoever is asked does it. */
function wake(call: Call): string {
  const name = call.need("node");
  if (name === call.node || name === "localhost") fail(`'${name}' is local node, cannot wake my self!`);
  const mac = /(?:^|,)(?:mac=)?([0-9a-f:]{17})/i.exec(call.world.node(name)?.config["wakeonlan"] ?? "")?.[1];
  return mac ?? fail(`No wake on LAN MAC address defined for '${name}'!`);
}

/** A terminal's ticket; there is no terminal behind it. */
function terminal(type: string) {
  return (call: Call): unknown => {
    const upid = call.task(type, "", function* () {
      yield call.world.duration(type);
    });
    const ticket = `PVEVNC:${call.world.seconds().toString(16).toUpperCase()}::${call.world.random.hex(32)}`;
    return { port: 5900, ticket, upid, user: call.login.name };
  };
}

/** The log of the cluster: what tasks there were, newest first. */
function clusterLog(call: Call): unknown {
  const all = call.holds("/", ["Sys.Syslog"]);
  const rows = call.state.tasks
    .filter((task) => all || task.user === call.login.name)
    .slice(-(call.int("max") ?? 50))
    .reverse();
  return rows.map((task, index) => ({
    id: `${rows.length - index}:${task.node}`,
    uid: String(rows.length - index),
    node: task.node,
    user: task.user,
    pid: task.pid,
    pri: 6,
    tag: "pvedaemon",
    time: task.starttime,
    msg: `starting task ${task.upid}`,
  }));
}

const SUBSCRIPTION = {
  status: "notfound",
  message: "There is no subscription key",
  url: "https://www.proxmox.com/en/proxmox-virtual-environment/pricing",
};

/** What a node tells of itself and its surroundings: here no more than that it is a simulated one. */
export const factCalls: Handlers = {
  "GET /cluster/log": clusterLog,
  "GET /nodes/{node}/hosts": hosts,
  "GET /nodes/{node}/subscription": () => SUBSCRIPTION,
  "GET /nodes/{node}/report": () => "a simulated node\n",
  "GET /nodes/{node}/netstat": () => [],
  "GET /nodes/{node}/disks/list": () => [],
  "GET /nodes/{node}/hardware/pci": () => [],
  "GET /nodes/{node}/hardware/usb": () => [],
  "GET /nodes/{node}/certificates/info": () => [],
  "GET /nodes/{node}/apt/versions": () => [{ Package: "pve-manager", Version: API_VERSION, CurrentState: "Installed" }],
  "GET /nodes/{node}/capabilities/qemu/cpu-flags": () => [],
  "GET /nodes/{node}/capabilities/qemu/migration": () => ({ "has-dbus-vmstate": 1 }),
  "GET /nodes/{node}/aplinfo": () => [],
  ...Object.fromEntries(
    ["cifs", "iscsi", "lvm", "nfs", "pbs", "zfs"].map((method) => [`GET /nodes/{node}/scan/${method}`, () => []]),
  ),
  "POST /nodes/{node}/wakeonlan": wake,
  "POST /nodes/{node}/termproxy": terminal("vncshell"),
  "POST /nodes/{node}/vncshell": terminal("vncshell"),
};
