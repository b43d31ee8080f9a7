import type { Login } from "./auth/login.js";
import { holds, require } from "./auth/privileges.js";
import type { State } from "./state/model.js";
import { splitList, type Params, type Value } from "./table/check.js";
import type { TaskLog, Work } from "./tasks/runner.js";
import type { World } from "./world.js";

/** What a call answers besides its data. */
export interface Extras {
  total?: number;
}

/** The file of an upload. */
export interface UploadedFile {
  readonly filename: string;
  readonly size: number;
  readonly content: Buffer;
}

export interface Asked {
  /** The node that works on it: the one in the path, else the one that was asked. */
  readonly node: string;
  readonly path: string;
  readonly params: Params;
  readonly upload?: UploadedFile | undefined;
}

/** One checked call on its way through a handler. */
export class Call {
  readonly extras: Extras = {};
  readonly node: string;
  readonly path: string;
  readonly params: Params;
  readonly upload: UploadedFile | undefined;

  constructor(
    readonly world: World,
    readonly login: Login,
    asked: Asked,
  ) {
    this.node = asked.node;
    this.path = asked.path;
    this.params = asked.params;
    this.upload = asked.upload;
  }

  get state(): State {
    return this.world.state;
  }

  has(name: string): boolean {
    return this.params[name] !== undefined;
  }

  text(name: string): string | undefined {
    const value = this.params[name];
    return value === undefined || typeof value === "string" ? value : value.join("\0");
  }

  /** A parameter that the table requires. */
  need(name: string): string {
    return this.text(name) ?? "";
  }

  int(name: string): number | undefined {
    const text = this.text(name);
    return text === undefined || text === "" ? undefined : Number(text);
  }

  flag(name: string, otherwise = false): boolean {
    const text = this.text(name);
    return text === undefined ? otherwise : text === "1";
  }

  list(name: string): string[] {
    const value: Value | undefined = this.params[name];
    if (value === undefined) return [];
    return typeof value === "string" ? splitList(value) : value.flatMap(splitList);
  }

  get vmid(): number {
    return Number(this.need("vmid"));
  }

  /** 403 unless the log-in holds all (`any`: one) of the privileges on the path. */
  require(path: string, names: readonly string[], any = false): void {
    require(this.state, this.login, path, names, any);
  }

  holds(path: string, names: readonly string[], any = false): boolean {
    return holds(this.state, this.login, path, names, any);
  }

  /** Starts a task on this call's node and answers its UPID. */
  task(type: string, id: string | number, work: (log: TaskLog) => Work): string {
    return this.world.tasks.start({ node: this.node, type, id: String(id), user: this.login.name, work });
  }
}

/** Answers a call's data; throws an ApiFault. Changes nothing before its last check. */
export type Handler = (call: Call) => unknown;

/** `METHOD /path/{variable}` → handler. */
export type Handlers = Readonly<Record<string, Handler>>;
