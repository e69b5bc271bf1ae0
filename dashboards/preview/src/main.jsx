// Draws one page of one moment: ?page=postgres&prometheus=http://…&from=…&to=… (seconds); tells by data-done when it is whole.
import "./page.css";
import { flushSync } from "react-dom";
import { createRoot } from "react-dom/client";
import { ThemeContext, createTheme, dateTime, dateTimeFormat } from "@grafana/data";
import { GlobalStyles } from "@grafana/ui";
import { annotationsOf } from "./annotations.js";
import { Page } from "./page.jsx";
import { smaller } from "./smaller.js";
import { chosen } from "./variables.js";

const given = new URLSearchParams(location.search);
const page = await (await fetch(`/pages/${given.get("page")}.json`)).json();
const panels = page.panels.flatMap((entry) => (entry.type === "row" ? entry.panels : [entry]));
const context = contextOf(page);
context.annotations = await annotationsOf(page, context);
let left = panels.length;
window.smaller = smaller; // for the script that takes the picture
Date.now = () => context.range.to * 1000; // what says how long ago something was counts from the end of the range

const root = createRoot(document.getElementById("page"));
flushSync(() => root.render(themed())); // declares the fonts, which must be there when texts are measured
await Promise.all([400, 500].map((weight) => document.fonts.load(`${weight} 16px Inter`)));
root.render(themed(<Page page={page} context={context} onPanel={() => --left === 0 && done()} />));

function themed(content) {
  return (
    <ThemeContext.Provider value={createTheme({ colors: { mode: "dark" } })}>
      <GlobalStyles />
      {content}
    </ThemeContext.Provider>
  );
}

function contextOf(asked) {
  const [from, to] = [Number(given.get("from")), Number(given.get("to"))];
  const [begin, end] = [dateTime(from * 1000), dateTime(to * 1000)];
  const said = (time, format) => dateTimeFormat(time, { format, timeZone: "utc" });
  return {
    prometheus: given.get("prometheus"),
    width: window.innerWidth,
    range: { from, to },
    timeRange: { from: begin, to: end, raw: { from: begin, to: end } },
    timeZone: "utc",
    shown: `${said(begin, "YYYY-MM-DD HH:mm")} to ${said(end, "HH:mm")} UTC`,
    variables: chosen(asked, given),
    complain: (error) => console.error(String(error)),
  };
}

/** Graphs draw themselves a little after their data came, icons come when they are needed. */
function done() {
  setTimeout(() => (document.body.dataset.done = "yes"), 1500);
}
