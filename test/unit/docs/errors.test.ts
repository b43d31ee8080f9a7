import { expect } from "chai";
import { ERROR_CODES } from "../../../src/model/error-codes.js";
import { filesIn, readText, sections } from "./pages.js";

const documented = sections(readText("docs/errors.md")).filter(({ title }) => /^[A-Z_]+$/.test(title));

describe("docs/errors.md", () => {
  it("has one section per code, in the registry's order, with the registry's sentence", () => {
    const onPage = documented.map(({ title, text }) => `${title}: ${text.split("\n")[0] ?? ""}`);
    expect(onPage).deep.equal(Object.entries(ERROR_CODES).map(([code, sentence]) => `${code}: ${sentence}.`));
  });

  it("says of each when it happens, what to do and whether the same call may succeed later", () => {
    const lacking = documented.flatMap(({ title, text }) =>
      ["When:", "Do:", "Retry:"].filter((part) => !text.includes(`\n- ${part} `)).map((part) => `${title} ${part}`),
    );
    expect(lacking).deep.equal([]);
  });
});

describe("the registry of error codes", () => {
  it("has no code that nothing throws", () => {
    const sources = filesIn("src", ".ts").filter((file) => file !== "src/model/error-codes.ts");
    const code = sources.map(readText).join("\n");
    const unused = Object.keys(ERROR_CODES).filter((one) => !code.includes(`"${one}"`));
    expect(unused).deep.equal([]);
  });
});
