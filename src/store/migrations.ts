import { Initial1764000000000 } from "../../migrations/1764000000000-initial.js";
import { FindBy1764000100000 } from "../../migrations/1764000100000-find-by.js";
import type { Migrations } from "./connections.js";

/** All migrations, oldest first. */
export const MIGRATIONS: Migrations = [Initial1764000000000, FindBy1764000100000];

/** Our own name: a PostgreSQL schema may be shared with programs that have a `migrations` table. */
export const MIGRATIONS_TABLE = "proxmoor_migrations";
