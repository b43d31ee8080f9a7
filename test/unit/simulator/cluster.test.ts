import { expect } from "chai";
import { startAsked, type Asked } from "./asked.js";

/** One story after the other on a fresh cluster: each line with what PVE says. */
const STORIES: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  "high availability": [
    ["ops POST /cluster/ha/resources sid=vm:899", "500 resource 'vm:899' does not exist in cluster"],
    ["ops POST /cluster/ha/resources sid=ct:100", "500 resource 'ct:100' - guest with ID 100 is not a container"],
    ["ops POST /cluster/ha/resources sid=100 state=ignored", "null"],
    ["ops POST /cluster/ha/resources/vm:100/migrate node=pve1", "500 resource 'vm:100' is not HA managed"],
    ["ops PUT /cluster/ha/resources/vm:100 state=enabled", "null"],
    [
      "ops PUT /cluster/ha/resources/vm:100 delete=colour",
      "500 update resources config failed: no such option 'colour'",
    ],
    ["ops POST /cluster/ha/resources/vm:100/migrate node=pve9", "500 no such cluster node 'pve9'"],
    [
      "ops POST /cluster/ha/rules rule=r1 type=node-affinity resources=vm:100",
      '400 {"oneOf[node-affinity].nodes":"property is missing and it is not optional"}',
    ],
    ["ops POST /cluster/ha/rules rule=r1 type=node-affinity resources=vm:100 nodes=pve1:2", "null"],
    [
      "ops POST /cluster/ha/rules rule=r2 type=node-affinity resources=vm:100 nodes=pve1",
      `400 {"resources":"resource 'vm:100' is already used in another node affinity rule"}`,
    ],
    [
      "ops POST /cluster/ha/rules rule=r2 type=resource-affinity resources=vm:100 affinity=negative",
      '400 {"resources":"rule is ineffective as there are less than two resources"}',
    ],
    ["ops DELETE ./qemu/100", "500 unable to remove VM 100 - used in HA resources and purge parameter not set."],
    ["ops DELETE /cluster/ha/resources/vm:100", "null"],
    ["ops GET /cluster/ha/rules", "[]"],
  ],
  "backup jobs": [
    ["ops POST /cluster/backup id=b1 all=1", `400 {"schedule":"neither 'starttime' nor 'schedule' were set"}`],
    [
      "ops POST /cluster/backup id=b1 schedule=daily",
      "500 400 Parameter verification failed.\nvmid: property is missing",
    ],
    ["ops POST /cluster/backup id=b1 starttime=3:00 dow=mon,tue vmid=100 storage=local", "null"],
    [
      "ops GET /cluster/backup/b1",
      '{"type":"vzdump","id":"b1","vmid":"100","storage":"local","schedule":"mon,tue 3:00","enabled":1}',
    ],
    ["ops PUT /cluster/backup/b1 pool=nowhere", "403 Permission check failed (pool 'nowhere' does not exist)"],
    ["ops PUT /cluster/backup/b1 all=1 exclude=100,101", "null"],
    [
      "ops GET /cluster/backup/b1",
      '{"type":"vzdump","id":"b1","storage":"local","schedule":"mon,tue 3:00","enabled":1,"all":1,"exclude":"100,101"}',
    ],
    [
      "ops PUT /cluster/backup/b1 delete=colour",
      "500 400 Parameter verification failed.\ndelete: unknown option 'colour'",
    ],
  ],
  backups: [
    ["ops POST ./vzdump storage=local", '400 {"vmid":"property is missing"}'],
    ["ops POST ./vzdump vmid=100 exclude=101", `400 {"exclude":"option conflicts with option 'vmid'"}`],
    [
      "ops POST ./vzdump vmid=100 storage=local notes-template={{mood}}",
      `400 {"notes-template":"found unknown: variable 'mood' at char 4\\n"}`,
    ],
    ["ops POST ./vzdump vmid=899 storage=local", "vzdump: job errors"],
    [
      "ops POST ./vzdump vmid=100 storage=spare",
      "vzdump: could not activate storage 'spare': storage 'spare' is disabled could not get storage information for 'spare': can't use storage 'spare' for backups - wrong content type",
    ],
    ["ops POST ./vzdump pool=empty storage=local", '"OK"'],
    ["ops POST ./vzdump stop=1", '"OK"'],
    ["limited POST ./vzdump stop=1", "403 Permission check failed (/nodes/pve1, Sys.Modify)"],
  ],
  networks: [
    ["ops POST ./network iface=vmbr8 type=bridge address=10.8.0.1 netmask=255.255.255.0", "null"],
    ["ops PUT ./network/vmbr8 type=bridge mtu=1400", "null"],
    [
      "ops GET ./network/vmbr8",
      '{"priority":6,"type":"bridge","address":"10.8.0.1","netmask":"24","cidr":"10.8.0.1/24","bridge_fd":"0","bridge_ports":"","bridge_stp":"off","method":"static","method6":"manual","families":["inet"],"mtu":"1400"}',
    ],
    ["ops DELETE ./network", "null"],
    ["ops GET ./network/vmbr8", '400 {"iface":"interface does not exist"}'],
    ["limited GET ./network type=any_bridge", "[]"],
  ],
  "all guests of a node": [
    ["limited POST ./startall", "403 Permission check failed (/, VM.PowerMgmt)"],
    ["ops POST ./startall vms=200", "startall: OK"],
    ["ops POST ./lxc/200/status/start", "500 CT 200 already running"],
    ["ops POST ./stopall vms=200", "stopall: OK"],
    ["ops POST ./lxc/200/status/stop", "500 CT 200 not running"],
    ["ops POST ./migrateall target=pve1 vms=200", '400 {"target":"target is local node."}'],
  ],
  "several calls at once": [
    [
      'root POST ./execute commands=[{"path":"version","method":"GET"},{"path":"nope","method":"GET"}]',
      `[{"status":200,"data":{"version":"9.2.11","release":"9.2","repoid":"14a22df3b1c2d3e4"}},{"status":500,"message":"no handler for 'nodes/pve1/nope'\\n"}]`,
    ],
    [
      'root POST ./execute commands=[{"path":"lxc/899/config","method":"GET"}]',
      `[{"status":500,"message":"Configuration file 'nodes/pve1/lxc/899.conf' does not exist\\n"}]`,
    ],
  ],
};

describe("simulator: cluster and nodes", () => {
  let asked: Asked;
  beforeEach(async () => {
    asked = await startAsked();
  });
  afterEach(() => asked.stop());
  for (const [story, lines] of Object.entries(STORIES))
    it(story, async () => {
      const said: (readonly [string, string])[] = [];
      for (const [line] of lines) said.push([line, await asked.ask(line)]);
      expect(said).to.deep.equal(lines);
    });
});
