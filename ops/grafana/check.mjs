// Writes check.ts: the dashboards as values of Grafana's own type, for tsc to judge. `make check-dashboards` runs it.
import fs from "node:fs";

const files = fs.readdirSync("dashboards").filter((name) => name.endsWith(".json"));
const values = files.map(
  (name, i) => `export const dashboard${i}: Plain<Dashboard> = ${fs.readFileSync(`dashboards/${name}`, "utf8")};\n`,
);
// In JSON an enumeration is its value: a string, not the enumeration's member.
const header = `import type { Dashboard } from "@grafana/schema";

type Plain<T> = T extends string
  ? \`\${T}\`
  : T extends (infer U)[]
    ? Plain<U>[]
    : T extends object
      ? { [K in keyof T]: Plain<T[K]> }
      : T;
`;
fs.writeFileSync("check.ts", [header, ...values].join("\n"));
