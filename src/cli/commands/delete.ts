import { ProxmoorError } from "../../model/errors.js";
import { parseRef, refKey, type Ref } from "../../model/ref.js";
import { orderChanges } from "../../plan/order.js";
import { planDelete, summarise } from "../../plan/plan.js";
import type { Plan } from "../../plan/types.js";
import { openSession } from "../compose.js";
import type { CommandResult, Io } from "../io.js";
import { look, policyOf, type PlanOptions } from "../look.js";
import { readInput, type ManifestOptions } from "../manifest-input.js";
import { progressView } from "../output/progress.js";
import { carryOut, recover, runOptions, type RunOptions } from "./apply.js";

export interface DeleteOptions extends RunOptions, ManifestOptions, Pick<PlanOptions, "maxDeletes"> {
  readonly forget?: boolean;
  readonly ignoreNotFound?: boolean;
  readonly dryRun?: boolean;
}

/** `proxmoor delete`: guests of the inventory, named or declared by manifests; others are never touched. */
export async function deleteGuests(names: readonly string[], options: DeleteOptions, io: Io): Promise<CommandResult> {
  const refs = await refsOf(names, options, io);
  const session = await openSession(options, io);
  try {
    const { resources } = await session.store.resources.inventory(session.clock.now());
    const ours = resources.filter((one) => refs.some((ref) => refKey(ref) === refKey(one.ref)));
    const missing = refs.filter((ref) => !ours.some((one) => refKey(one.ref) === refKey(ref)));
    if (missing.length > 0 && options.ignoreNotFound !== true)
      throw new ProxmoorError(
        "NOT_FOUND",
        `not in the inventory: ${missing.map(refKey).join(", ")}; Proxmoor deletes only what it made or adopted`,
        {
          remedy: "`proxmoor get resources` lists the inventory; --ignore-not-found goes on with the rest.",
        },
      );
    if (options.forget === true && options.dryRun === true) {
      for (const { ref } of ours) io.out(`${refKey(ref)} would be forgotten\n`);
      return { exitCode: 0 };
    }
    if (options.forget === true)
      return await forget(
        ours.map((one) => one.ref),
        session,
        io,
      );
    const view = progressView(options.output, io, () => session.clock.now());
    const run = runOptions(options, io, () => "");
    if (options.dryRun !== true) await recover(session, { run, view }, io);
    const { observed } = await look(session, io.signal);
    // said by name: the manifest's `prune: keep` is about pruning only
    const changes = orderChanges(ours.map((one) => planDelete({ ...one, prune: "delete" }, observed)));
    const plan: Plan = { changes, summary: summarise(changes), warnings: [] };
    const policy = policyOf(options, session);
    return await carryOut(
      { planned: { plan, observed, policy }, session, options, run, view, dryRun: options.dryRun === true },
      io,
    );
  } finally {
    await session.close();
  }
}

async function refsOf(names: readonly string[], options: ManifestOptions, io: Io): Promise<readonly Ref[]> {
  const named = names.map((name) => {
    const ref = parseRef(name);
    if (!ref) throw new ProxmoorError("USAGE", `"${name}" names no guest`, { remedy: "Write vm/NAME or ct/NAME." });
    return ref;
  });
  if ((options.filename ?? []).length === 0 && named.length > 0) return named;
  if ((options.filename ?? []).length === 0)
    throw new ProxmoorError("USAGE", "nothing is named", {
      remedy: "Name guests (vm/NAME, ct/NAME) or manifests (-f).",
    });
  const { desired } = await readInput(options, io);
  return [...named, ...desired.guests.map((guest) => guest.ref)];
}

async function forget(
  refs: readonly Ref[],
  session: Awaited<ReturnType<typeof openSession>>,
  io: Io,
): Promise<CommandResult> {
  for (const ref of refs) {
    await session.store.resources.remove(ref, session.clock.now());
    io.out(`${refKey(ref)} forgotten; its guest in PVE was not touched\n`);
  }
  return { exitCode: 0 };
}
