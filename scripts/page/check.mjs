// Looks at report.html and one audit.html of a run as readers do, and says what is wrong with them.
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [run, tools] = process.argv.slice(2).map(path => resolve(path));
const require = createRequire(join(tools, "node_modules/"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const shots = join(tools, "shots");
mkdirSync(shots, { recursive: true });

const SIZE_MAX = 2_000_000;
const PAINT_MAX_MS = 1000;
const wrong = [];
const complain = (where, what) => wrong.push(`${where}: ${what}`);

const auditPage = folder => {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory() && !entry.isSymbolicLink()) {
      const found = auditPage(path);
      if (found) return found;
    } else if (entry.name === "audit.html") return path;
  }
  return null;
};

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-dev-shm-usage"] });

const open = async (path, where, options) => {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.on("console", message => complain(where, `console: ${message.text()}`));
  page.on("pageerror", error => complain(where, `error: ${error.message}`));
  page.on("request", request => {
    if (!request.url().startsWith("file:") && !request.url().startsWith("data:")) complain(where, `asks ${request.url()}`);
  });
  await page.goto(pathToFileURL(path).href);
  return page;
};

// The shortest of three, if need be: on a busy machine a browser waits for its core.
const firstPaint = async page => {
  const seen = [];
  do {
    if (seen.length) await page.reload();
    await page.waitForFunction(() => performance.getEntriesByName("first-contentful-paint").length > 0);
    seen.push(await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0].startTime));
  } while (seen.length < 3 && Math.min(...seen) > PAINT_MAX_MS);
  return Math.min(...seen);
};

const scrollThrough = async page => {
  const height = await page.evaluate(() => document.body.scrollHeight);
  for (let y = 0; y <= height; y += 600) {
    await page.evaluate(to => scrollTo(0, to), y);
    await page.waitForTimeout(20);
  }
  await page.evaluate(() => scrollTo(0, 0));
};

const overflow = async (page, where) => {
  const [wide, room] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  if (wide > room) complain(where, `is ${wide} px wide in a window of ${room} px`);
};

const accessible = async (page, where) => {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
  for (const { id, help, nodes } of violations) complain(where, `axe ${id} (${help}): ${nodes.length} × ${nodes[0].html.slice(0, 160)} ${nodes[0].failureSummary ?? ""}`);
};

const charts = async (page, where) => {
  const empty = await page.$$eval(".live", all => all.filter(live => !live.querySelector("canvas")).map(live => live.dataset.chart));
  if (empty.length) complain(where, `nothing is drawn in ${empty.join(", ")}`);
};

// The figures that a reader gets by pointing, by keys, by switching a line off, by zooming.
const interactive = async (page, where) => {
  const live = page.locator(".live").first();
  if (!(await live.count())) return;
  await live.scrollIntoViewIfNeeded();
  const plots = live.locator(".plot");
  const box = await plots.first().locator(".u-over").boundingBox();
  await page.mouse.move(box.x + box.width * 0.5, box.y + box.height * 0.5);
  const told = () => live.locator(".readout").allTextContents();
  if (!(await told()).every(text => / s: /.test(text))) complain(where, `pointing at one chart tells no values in all: ${await told()}`);
  await page.mouse.move(0, 0);
  await plots.first().focus();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  if (!(await told()).every(text => / s: /.test(text))) complain(where, "arrow keys tell no values");
  const button = live.locator(".legend button").first();
  const name = await button.textContent();
  await button.click();
  await plots.first().focus();
  await page.keyboard.press("ArrowRight");
  if ((await button.getAttribute("aria-pressed")) !== "false" || (await told())[0].includes(`${name} `)) complain(where, `a line that is switched off is still told: ${await told()}`);
  await button.click();
  const again = await plots.first().locator(".u-over").boundingBox();
  await page.mouse.move(again.x + again.width * 0.3, again.y + 40);
  await page.mouse.down();
  await page.mouse.move(again.x + again.width * 0.6, again.y + 40, { steps: 4 });
  await page.mouse.up();
  await page.waitForTimeout(100);
  const ranges = await page.$$eval("section:has(.live)", sections => [...sections[0].querySelectorAll(".plot[data-range]")].map(plot => plot.dataset.range));
  const seconds = ranges.filter(range => range === ranges[0]).length;
  const whole = await page.evaluate(() => document.querySelector(".plot").dataset.whole);
  if (seconds < 2 || ranges[0] === whole) complain(where, `dragging does not zoom the charts together: ${ranges}`);
};

const report = join(run, "report.html");
const size = statSync(report).size;
if (size > SIZE_MAX) complain("report.html", `${size} bytes, more than ${SIZE_MAX}`);
const pages = [["report", report], ["audit", auditPage(run)], ["decision", join(run, "decision.html")], ["lesson", join(run, "lesson.html")]].filter(([, path]) => path && existsSync(path));
const paints = [];
for (const [name, path] of pages) {
  for (const colorScheme of ["light", "dark"]) {
    for (const [device, width, height] of [["desk", 1280, 900], ["phone", 390, 844]]) {
      const where = `${name}-${colorScheme}-${device}`;
      const page = await open(path, where, { colorScheme, viewport: { width, height }, reducedMotion: "reduce" });
      const paint = await firstPaint(page);
      paints.push(paint);
      if (paint > PAINT_MAX_MS) complain(where, `first paint after ${Math.round(paint)} ms`);
      await page.screenshot({ path: join(shots, `${where}-first.png`) });
      await scrollThrough(page);
      await charts(page, where);
      await overflow(page, where);
      await page.screenshot({ path: join(shots, `${where}.png`), fullPage: true });
      await accessible(page, where);
      await page.evaluate(() => document.querySelectorAll("details").forEach(details => { details.open = true; }));
      await overflow(page, `${where}, unfolded`);
      await accessible(page, `${where}, unfolded`);
      if (name === "report" && device === "desk") await interactive(page, where);
      await page.context().close();
    }
  }
}

const paper = await open(report, "paper", { colorScheme: "dark", viewport: { width: 1280, height: 900 } });
await paper.pdf({ path: join(shots, "report.pdf"), format: "A4", printBackground: true });
await paper.emulateMedia({ media: "print" });
const ground = await paper.evaluate(() => getComputedStyle(document.body).color);
if (ground !== "rgb(28, 30, 33)") complain("paper", `prints in ${ground}: the dark scheme must stay on the screen`);
await paper.context().close();
for (const [name, path] of pages.filter(([name]) => name === "decision" || name === "lesson")) {
  const printed = await open(path, `${name} on paper`, { colorScheme: "dark", viewport: { width: 1280, height: 900 } });
  await printed.pdf({ path: join(shots, `${name}.pdf`), format: "A4", printBackground: true });
  await printed.emulateMedia({ media: "print" });
  const ink = await printed.evaluate(() => getComputedStyle(document.body).color);
  if (ink !== "rgb(28, 30, 33)") complain(`${name} on paper`, `prints in ${ink}: the dark scheme must stay on the screen`);
  await printed.context().close();
}

const plain = await open(report, "without scripts", { javaScriptEnabled: false, viewport: { width: 1280, height: 900 } });
const images = await plain.locator("noscript img").count();
if (images === 0) complain("without scripts", "no picture");
await plain.screenshot({ path: join(shots, "report-plain.png"), fullPage: true });
await plain.context().close();
await browser.close();

console.log(`report.html: ${Math.round(size / 1024)} KiB, first paint ${Math.round(Math.max(...paints))} ms at most; screenshots in ${shots}`);
for (const what of wrong) console.error(what);
if (wrong.length) process.exit(1);
