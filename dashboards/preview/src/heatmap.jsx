// The heatmap of a histogram's buckets, drawn by hand: Grafana's own is a panel's code, not the library's.
import { formattedValueToString, getValueFormat } from "@grafana/data";
import { interpolateOranges } from "d3-scale-chromatic";
import { Hours } from "./hours.jsx";

const LABELS = 62;
const HOURS = 22;
const SCALE = 46;
const TOP = 8;

export function Heatmap({ panel, data, width, height, context }) {
  const { from, to } = context.range;
  const right = width - 10;
  const x = (time) => LABELS + ((time / 1000 - from) / (to - from)) * (right - LABELS);
  const plot = height - HOURS - SCALE;
  const line = (plot - TOP) / data.length;
  const most = Math.max(...data.flatMap((frame) => frame.fields[1].values));
  return (
    <svg width={width} height={height}>
      {data.map((frame, index) => (
        <g key={frame.name} transform={`translate(0 ${plot - (index + 1) * line})`}>
          <text className="label" x={LABELS - 8} y={0}>{index % Math.ceil(14 / line) === 0 ? bound(frame, panel) : ""}</text>
          {cells(frame, x, line, most)}
        </g>
      ))}
      <Hours x={x} y={plot + 16} context={context} />
      <Scale most={most} width={width} y={plot + HOURS + 6} />
    </svg>
  );
}

function cells(frame, x, line, most) {
  const [time, value] = frame.fields;
  const step = time.config.interval;
  return time.values.map((end, row) =>
    value.values[row] > 0 ? (
      <rect key={end} x={Math.max(LABELS, x(end - step))} y={0.5} width={Math.max(1, x(end) - Math.max(LABELS, x(end - step)) - 1)} height={line - 1} fill={colour(value.values[row] / most)} />
    ) : null,
  );
}

/** Say where the bucket ends, as its upper edge. */
function bound(frame, panel) {
  const { le } = frame.fields[1].labels;
  return le === "+Inf" ? "+Inf" : formattedValueToString(getValueFormat(panel.options.yAxis.unit)(Number(le)));
}

/** On a dark page little is dark. */
function colour(share) {
  return interpolateOranges(1 - share);
}

function Scale({ most, width, y }) {
  const steps = Array.from({ length: 64 }, (_, index) => index / 63);
  const begin = width / 2 - 96;
  return (
    <g transform={`translate(${begin} ${y})`}>
      {steps.map((share, index) => <rect key={share} x={index * 3} width={3} height={8} fill={colour(share)} />)}
      <text className="hour" x={0} y={24}>0</text>
      <text className="hour" x={192} y={24}>{formattedValueToString(getValueFormat("short")(most))}</text>
    </g>
  );
}
