import type { Handler, Handlers } from "../call.js";
import { CALL_SHAPES, type CallShape } from "../table/table.js";

export interface Route {
  /** `/nodes/{node}/qemu/{vmid}/config` */
  readonly pattern: string;
  readonly shape: CallShape;
  readonly handler: Handler;
}

interface Found {
  readonly route: Route;
  readonly variables: Record<string, string>;
}

interface Branch {
  readonly words: Map<string, Branch>;
  variable?: { readonly name: string; readonly branch: Branch };
  readonly routes: Map<string, Route>;
}

const branch = (): Branch => ({ words: new Map(), routes: new Map() });

/** Finds the call for a method and path. `{volume}` takes the rest of the path, slashes included. */
export class Routes {
  private readonly root = branch();

  constructor(handlers: Handlers, more: ReadonlyMap<string, CallShape>) {
    for (const [key, handler] of Object.entries(handlers)) {
      const shape = more.get(key) ?? CALL_SHAPES.get(key);
      if (shape === undefined) throw new Error(`no shape for ${key}`);
      const [method = "", pattern = ""] = key.split(" ");
      this.place(pattern).routes.set(method, { pattern, shape, handler });
    }
  }

  find(method: string, segments: readonly string[]): Found | undefined {
    const variables: Record<string, string> = {};
    let at = this.root;
    for (const [index, segment] of segments.entries()) {
      const word = at.words.get(segment);
      if (word !== undefined) {
        at = word;
        continue;
      }
      if (at.variable === undefined) return undefined;
      const { name } = at.variable;
      at = at.variable.branch;
      if (name === "volume") {
        variables[name] = segments.slice(index).join("/");
        break;
      }
      variables[name] = segment;
    }
    const route = at.routes.get(method);
    return route === undefined ? undefined : { route, variables };
  }

  private place(pattern: string): Branch {
    let at = this.root;
    for (const segment of pattern.split("/").filter((part) => part !== "")) {
      const name = /^\{(.+)\}$/.exec(segment)?.[1];
      if (name === undefined) {
        const next = at.words.get(segment) ?? branch();
        at.words.set(segment, next);
        at = next;
      } else {
        at.variable ??= { name, branch: branch() };
        at = at.variable.branch;
      }
    }
    return at;
  }
}
