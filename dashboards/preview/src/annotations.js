// The page's annotations: asked for once, drawn into every graph as Grafana draws them.
import { colorManipulator, rangeUtil } from "@grafana/data";
import { answerTo } from "./prometheus.js";

/** Return spans of time with their colours; neighbouring points of a series are one span. */
export async function annotationsOf(page, context) {
  const enabled = page.annotations.list.filter(({ enable, expr }) => enable && expr);
  const found = enabled.map(async ({ expr, step, iconColor }) => {
    const { result } = await answerTo({ expr, interval: step, refId: "annotation" }, context.width, context);
    return result.flatMap(({ values }) => spansOf(values, rangeUtil.intervalToMs(step) / 1000).map((span) => ({ ...span, colour: iconColor })));
  });
  return (await Promise.all(found)).flat();
}

function spansOf(values, step) {
  const spans = [];
  for (const [time, value] of values.filter(([, text]) => Number(text) > 0)) {
    const last = spans.at(-1);
    if (last && time - last.end <= step) {
      last.end = time;
    } else {
      spans.push({ begin: time, end: time, value });
    }
  }
  return spans;
}

const marked = new WeakSet();

/** Let a graph draw the spans over its lines. */
export function mark(builder, annotations, theme) {
  if (marked.has(builder)) {
    return;
  }
  marked.add(builder);
  builder.addHook("draw", (plot) => annotations.forEach((span) => draw(plot, span, theme)));
}

function draw(plot, { begin, end, colour }, theme) {
  const { ctx, bbox } = plot;
  const [from, to] = [begin, end].map((time) => plot.valToPos(time * 1000, "x", true));
  const shade = theme.visualization.getColorByName(colour);
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.strokeStyle = shade;
  ctx.setLineDash([5, 5]);
  for (const x of new Set([from, to])) {
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.fillStyle = colorManipulator.alpha(shade, 0.1);
  ctx.fillRect(from, bbox.top, to - from, bbox.height);
  ctx.restore();
}
