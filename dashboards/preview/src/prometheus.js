// Asks Prometheus what a panel asks, and returns data frames as Grafana's data source makes them.
import { FieldType, createDataFrame, rangeUtil } from "@grafana/data";
import { substituted } from "./variables.js";

/** Return the frames of all queries of a panel that is so many pixels wide. */
export async function framesOf(panel, width, context) {
  const answers = await Promise.all(panel.targets.map((target) => answerTo(target, width, context)));
  if (panel.targets[0].format === "table") {
    return answers.map((answer) => tableOf(answer, panel.targets.length));
  }
  const frames = answers.flatMap(seriesOf);
  return panel.targets[0].format === "heatmap" ? withoutTheSmallerBuckets(frames) : frames;
}

/** Ask over the range shown, in steps as Grafana chooses them. */
export async function answerTo(target, width, context) {
  const { from, to } = context.range;
  const least = rangeUtil.intervalToMs(target.interval) / 1000;
  const step = Math.max(least, rangeUtil.calculateInterval(context.timeRange, width, "1s").intervalMs / 1000);
  const query = substituted(target.expr, context.variables, {
    __interval: `${step}s`,
    __rate_interval: `${Math.max(step + least, 4 * least)}s`,
    __range: `${Math.round(to - from)}s`,
  });
  const aligned = (time) => Math.floor(time / step) * step;
  const result = target.instant
    ? await asked(context, "query", { query, time: to })
    : await asked(context, "query_range", { query, start: aligned(from), end: aligned(to), step });
  return { target, result, step };
}

async function asked({ prometheus }, path, parameters) {
  const answer = await fetch(`${prometheus}/api/v1/${path}?${new URLSearchParams(parameters)}`);
  const { status, data, error } = await answer.json();
  if (status !== "success") {
    throw new Error(`${error}: ${parameters.query}`);
  }
  return data.result;
}

function seriesOf({ target, result, step }) {
  return result.map(({ metric, value, values = [value] }) => {
    const displayNameFromDS = named(target.legendFormat, metric);
    const times = values.map(([time]) => time * 1000);
    return createDataFrame({
      refId: target.refId,
      name: displayNameFromDS,
      fields: [
        { name: "Time", type: FieldType.time, values: times, config: { interval: step * 1000 } },
        { name: "Value", type: FieldType.number, labels: metric, values: numbers(values), config: { displayNameFromDS } },
      ],
    });
  });
}

function tableOf({ target, result }, queries) {
  const labels = [...new Set(result.flatMap(({ metric }) => Object.keys(metric)))].sort();
  const rows = result.map(({ value }) => value);
  const name = queries > 1 ? `Value #${target.refId}` : "Value";
  const texts = labels.map((label) => ({
    name: label,
    type: FieldType.string,
    values: result.map(({ metric }) => metric[label] ?? ""),
    config: {},
  }));
  const fields = [
    { name: "Time", type: FieldType.time, values: rows.map(([time]) => time * 1000), config: {} },
    ...texts,
    { name, type: FieldType.number, values: numbers(rows), config: {} },
  ];
  return createDataFrame({ refId: target.refId, fields: result.length ? fields : [] });
}

/** Leave in each bucket what is not in the next smaller one: Prometheus' buckets are cumulative. */
function withoutTheSmallerBuckets(frames) {
  const bound = (frame) => Number(frame.fields[1].labels.le.replace("+Inf", "Infinity"));
  const ordered = [...frames].sort((one, other) => bound(one) - bound(other));
  return ordered.map((frame, index) => {
    const [time, value] = frame.fields;
    const below = new Map(ordered[index - 1]?.fields[0].values.map((at, row) => [at, ordered[index - 1].fields[1].values[row]]));
    const own = value.values.map((count, row) => Math.max(0, count - (below.get(time.values[row]) ?? 0)));
    return { ...frame, fields: [time, { ...value, values: own }] };
  });
}

export function named(format, labels) {
  return format.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, label) => labels[label] ?? "");
}

function numbers(values) {
  return values.map(([, text]) => Number(text.replace("Inf", "Infinity")));
}
