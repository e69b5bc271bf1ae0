// A whole page: the bar with title and variables, the rows and panels in Grafana's grid, collapsed rows unfolded.
import { Panel } from "./panel.jsx";
import { choices, substituted } from "./variables.js";

const COLUMNS = 24;
const CELL = 30;
const GAP = 8;
const MARGIN = 16;
const BAR = 92;

export function Page({ page, context, onPanel }) {
  const entries = unfolded(page.panels);
  const column = (context.width - 2 * MARGIN + GAP) / COLUMNS;
  const lines = Math.max(...entries.map(({ gridPos: { y, h } }) => y + h));
  return (
    <main style={{ width: context.width, height: BAR + lines * (CELL + GAP) + MARGIN }}>
      <Bar page={page} context={context} />
      {entries.map((entry) => {
        const { x, y, w, h } = entry.gridPos;
        const place = { left: MARGIN + x * column, top: BAR + y * (CELL + GAP) };
        const size = { width: w * column - GAP, height: h * (CELL + GAP) - GAP };
        return (
          <section key={entry.id} style={{ ...place, ...size }}>
            {entry.type === "row" ? <h2>{substituted(entry.title, context.variables)}</h2> : <Panel panel={entry} {...size} context={context} onDone={onPanel} />}
          </section>
        );
      })}
    </main>
  );
}

function Bar({ page, context }) {
  return (
    <header>
      <h1>{page.title}</h1>
      {choices(page, context.variables).map(([label, value]) => (
        <span key={label} className="variable"><b>{label}</b><i>{value}</i></span>
      ))}
      <time>{context.shown}</time>
    </header>
  );
}

/** Put the panels of collapsed rows below their rows and move down what follows. */
function unfolded(panels) {
  let moved = 0;
  return panels.flatMap((entry) => {
    const inner = entry.panels ?? [];
    const begin = entry.gridPos.y + moved;
    const head = { ...entry, gridPos: { ...entry.gridPos, y: begin } };
    const below = inner.map((panel) => ({ ...panel, gridPos: { ...panel.gridPos, y: panel.gridPos.y + moved } }));
    moved += inner.length ? Math.max(...below.map(({ gridPos: { y, h } }) => y + h)) - begin - 1 : 0;
    return [head, ...below];
  });
}
