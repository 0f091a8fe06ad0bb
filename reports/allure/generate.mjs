// Writes Allure's report of a folder of results, as `allure generate` does, with the results of a quality gate: that command takes none.
// usage: node generate.mjs MODULES CONFIG RESULTS, where CONFIG has `config` (allurerc) and `gate` (results of rules).
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, file, results] = process.argv.slice(2).map((path) => resolve(path));
const { AllureReport, resolveConfig } = await import(pathToFileURL(join(modules, "@allurereport", "core", "dist", "index.js")).href);
const { config, gate } = JSON.parse(await readFile(file, "utf-8"));
const report = new AllureReport(await resolveConfig(config));
await report.start();
await report.readDirectory(results);
report.realtimeDispatcher.sendQualityGateResults(gate);
await report.done();
