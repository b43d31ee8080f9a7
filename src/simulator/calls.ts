import { aclCalls } from "./access/acl.js";
import { domainCalls } from "./access/domains.js";
import { ticketCalls } from "./access/ticket.js";
import { userCalls } from "./access/users.js";
import { backupJobCalls } from "./backup/jobs.js";
import { vzdumpCalls } from "./backup/vzdump.js";
import type { Handlers } from "./call.js";
import { bulkCalls } from "./cluster/bulk.js";
import { haCalls } from "./cluster/ha.js";
import { mappingCalls } from "./cluster/mapping.js";
import { optionCalls } from "./cluster/options.js";
import { resourceCalls } from "./cluster/resources.js";
import { scheduleCalls } from "./cluster/schedule.js";
import { consoleCalls } from "./guests/common/consoles.js";
import { firewallCalls } from "./guests/common/firewall.js";
import { migrateCalls } from "./guests/common/migrate.js";
import { lxcCloneCalls } from "./guests/lxc/clone.js";
import { lxcCreateCalls } from "./guests/lxc/create.js";
import { lxcDiskCalls } from "./guests/lxc/disk-calls.js";
import { lxcPowerCalls } from "./guests/lxc/power.js";
import { lxcSnapshotCalls } from "./guests/lxc/snapshots.js";
import { lxcStatusCalls } from "./guests/lxc/status.js";
import { lxcConfigCalls } from "./guests/lxc/update.js";
import { agentCalls } from "./guests/qemu/agent.js";
import { cloneCalls } from "./guests/qemu/clone.js";
import { configCalls } from "./guests/qemu/config-calls.js";
import { createQemu } from "./guests/qemu/create.js";
import { destroyCalls } from "./guests/qemu/destroy.js";
import { diskCalls } from "./guests/qemu/disk-calls.js";
import { powerCalls } from "./guests/qemu/power.js";
import { snapshotCalls } from "./guests/qemu/snapshots.js";
import { suspendCalls } from "./guests/qemu/suspend.js";
import { statusCalls } from "./guests/qemu/status.js";
import { indexCalls } from "./indexes.js";
import { nodeCalls } from "./nodes/calls.js";
import { factCalls } from "./nodes/facts.js";
import { hostCalls } from "./nodes/host-calls.js";
import { serviceCalls } from "./nodes/services.js";
import { poolCalls } from "./pools/calls.js";
import { storageConfigCalls } from "./storage/config-calls.js";
import { contentCalls } from "./storage/content-calls.js";
import { pruneCalls } from "./storage/prune-calls.js";
import { storageCalls } from "./storage/storage-calls.js";
import { transferCalls } from "./storage/transfer-calls.js";
import { taskCalls } from "./tasks/calls.js";

/** Every call that the simulator answers; a path that is not here is PVE's 501. */
export const HANDLERS: Handlers = {
  ...indexCalls,
  ...ticketCalls,
  ...userCalls,
  ...aclCalls,
  ...domainCalls,
  ...optionCalls,
  ...resourceCalls,
  ...nodeCalls,
  ...hostCalls,
  ...factCalls,
  ...serviceCalls,
  ...scheduleCalls,
  ...haCalls,
  ...mappingCalls,
  ...bulkCalls,
  ...backupJobCalls,
  ...vzdumpCalls,
  ...poolCalls,
  ...taskCalls,
  ...storageCalls,
  ...contentCalls,
  ...storageConfigCalls,
  ...transferCalls,
  ...pruneCalls,
  "POST /nodes/{node}/qemu": createQemu,
  ...statusCalls,
  ...configCalls,
  ...powerCalls,
  ...suspendCalls,
  ...cloneCalls,
  ...diskCalls,
  ...snapshotCalls,
  ...destroyCalls,
  ...lxcStatusCalls,
  ...lxcCreateCalls,
  ...lxcConfigCalls,
  ...lxcPowerCalls,
  ...lxcCloneCalls,
  ...lxcDiskCalls,
  ...lxcSnapshotCalls,
  ...consoleCalls,
  ...firewallCalls,
  ...migrateCalls,
  ...agentCalls,
};
