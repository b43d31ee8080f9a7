import { expect } from "chai";
import fc from "fast-check";
import { setCondition, type Condition } from "../../../src/model/condition.js";
import { describeError, messageOf, ProxmoorError } from "../../../src/model/errors.js";
import { formatFaults, formatPlace } from "../../../src/model/fault.js";
import { formatQuantity, parseQuantity, QUANTITY_PATTERN } from "../../../src/model/quantity.js";
import { compareRefs, parseRef, refKey, type Ref } from "../../../src/model/ref.js";

describe("quantities", () => {
  it("read as Kubernetes writes them", () => {
    const read = Object.fromEntries(
      [
        "4Gi",
        "1.5Gi",
        "512Mi",
        "2G",
        "0",
        "1000",
        "1.005k",
        "0.3k",
        "8.192k",
        "0.5",
        "1.0001k",
        "1e3",
        "-1Gi",
        "4gi",
        "4 Gi",
        "",
        "9007199254740991",
        "9007199254740992",
        "9999999999999999Pi",
      ].map((text) => [text, parseQuantity(text)]),
    );
    expect(read).to.deep.equal({
      "4Gi": 4294967296,
      "1.5Gi": 1610612736,
      "512Mi": 536870912,
      "2G": 2000000000,
      "0": 0,
      "1000": 1000,
      "1.005k": 1005,
      "0.3k": 300,
      "8.192k": 8192,
      "0.5": undefined,
      "1.0001k": undefined,
      "1e3": undefined,
      "-1Gi": undefined,
      "4gi": undefined,
      "4 Gi": undefined,
      "": undefined,
      "9007199254740991": 9007199254740991,
      "9007199254740992": undefined,
      "9999999999999999Pi": undefined,
    });
  });

  it("come back as they were, whatever the number of bytes", () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (bytes) => {
        expect(parseQuantity(formatQuantity(bytes))).to.equal(bytes);
        expect(formatQuantity(bytes)).to.match(new RegExp(QUANTITY_PATTERN));
      }),
    );
  });

  it("with decimals are exact", () => {
    fc.assert(
      fc.property(fc.nat(1e6), fc.nat(999), (whole, thousandths) => {
        const text = `${whole}.${String(thousandths).padStart(3, "0")}`;
        expect(parseQuantity(`${text}k`)).to.equal(whole * 1000 + thousandths);
        expect(parseQuantity(`${text}M`)).to.equal(whole * 1e6 + thousandths * 1e3);
      }),
    );
  });
});

describe("refs", () => {
  it("are read in all their spellings and printed in one", () => {
    const read = (text: string) => {
      const ref = parseRef(text);
      return ref ? refKey(ref) : undefined;
    };
    expect(["vm/web", "VirtualMachine/web", "QEMU/web", "ct/db", "lxc/db", "container/db"].map(read)).to.deep.equal([
      ...["vm/web", "vm/web", "vm/web", "ct/db", "ct/db", "ct/db"],
    ]);
    expect(["web", "/web", "vm/", "pod/web", "", "constructor/web", "__proto__/web"].map(read)).to.deep.equal(
      Array<undefined>(7).fill(undefined),
    );
  });

  it("keep their order, whatever order they come in", () => {
    const refs: Ref[] = ["vm/b", "ct/z", "vm/a", "ct/a"].flatMap((text) => parseRef(text) ?? []);
    expect(refs.sort(compareRefs).map(refKey)).to.deep.equal(["ct/a", "ct/z", "vm/a", "vm/b"]);
  });
});

describe("conditions", () => {
  const ready = (status: Condition["status"], lastTransition: number, message = ""): Condition => ({
    ...{ type: "Ready", status, reason: "Because", message, lastTransition, observedGeneration: 1 },
  });

  it("move their time only when their status does", () => {
    let conditions: readonly Condition[] = [];
    const times: number[] = [];
    for (const [status, time] of [
      ["True", 1],
      ["True", 2],
      ["False", 3],
      ["False", 4],
      ["True", 5],
    ] as const) {
      conditions = setCondition(conditions, ready(status, time, `at ${time}`));
      times.push(conditions[0]?.lastTransition ?? 0);
    }
    expect(times).to.deep.equal([1, 1, 3, 3, 5]);
    expect(conditions).to.have.length(1);
    expect(conditions[0]?.message).to.equal("at 5");
  });

  it("stand in order of their type", () => {
    const synced: Condition = { ...ready("True", 1), type: "Synced" };
    const blocked: Condition = { ...ready("True", 1), type: "Blocked" };
    expect(setCondition([synced], blocked).map((one) => one.type)).to.deep.equal(["Blocked", "Synced"]);
  });
});

describe("errors", () => {
  it("are told with subject, sentence, code and remedy", () => {
    const cause = new Error("ECONNREFUSED");
    const full = new ProxmoorError("PVE_LOCKED", "VM is locked (backup)", {
      subject: "vm/web",
      remedy: "Wait for the backup to end.",
      retry: "later",
      cause,
    });
    expect(describeError(full)).to.equal("vm/web: VM is locked (backup) [PVE_LOCKED]\n  Wait for the backup to end.");
    expect([full.retry, full.cause, full.facts]).to.deep.equal(["later", cause, {}]);
    const bare = new ProxmoorError("INTERNAL", "oh");
    expect([describeError(bare), bare.retry, "cause" in bare]).to.deep.equal(["oh [INTERNAL]", "never", false]);
  });

  it("of others, and what is no error at all, are told as they are", () => {
    expect([new TypeError("x is not a function"), "text", 7, undefined].map(describeError)).to.deep.equal([
      "x is not a function",
      "text",
      "7",
      "undefined",
    ]);
    expect(messageOf(null)).to.equal("null");
  });
});

describe("faults", () => {
  it("are listed by place, each once", () => {
    const fault = (file: string, line: number | undefined, message: string) => ({
      code: "MANIFEST_INVALID" as const,
      place: { file, ...(line !== undefined && { line, column: 3 }) },
      message,
    });
    const faults = [
      fault("b.yaml", 2, "x"),
      fault("a.yaml", 10, "y"),
      fault("a.yaml", 9, "z"),
      fault("a.yaml", undefined, "w"),
      fault("b.yaml", 2, "x"),
    ];
    expect(formatFaults(faults)).to.equal("a.yaml: w\na.yaml:9:3: z\na.yaml:10:3: y\nb.yaml:2:3: x");
    expect(formatPlace({ file: "-", line: 4 })).to.equal("-:4");
  });
});
