import { deny } from "../fault.js";
import type { Pool, State } from "../state/model.js";

/** The pool that a guest is in. */
export function poolOfGuest(state: State, vmid: number): string | undefined {
  return Object.entries(state.pools).find(([, pool]) => pool.vms.includes(vmid))?.[0];
}

/** PVE's `check_pool_exist`: an unknown pool is a missing permission. */
export function requirePool(state: State, name: string): Pool {
  return state.pools[name] ?? deny(`pool '${name}' does not exist`);
}

export function addToPool(state: State, name: string, vmid: number): void {
  const pool = state.pools[name];
  if (pool !== undefined && !pool.vms.includes(vmid)) pool.vms.push(vmid);
}

/** A guest that goes leaves its pool; with `purge` its ACL entries and places in jobs go too. */
export function removeFromPool(state: State, vmid: number): void {
  for (const pool of Object.values(state.pools)) pool.vms = pool.vms.filter((id) => id !== vmid);
}
