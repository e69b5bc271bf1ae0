// The state timeline, drawn by hand: Grafana's own is a panel's code, not the library's.
import { formattedValueToString, getFieldDisplayName } from "@grafana/data";
import { VizLayout, VizLegend } from "@grafana/ui";
import { Hours } from "./hours.jsx";

const LETTER = 7.2; // about
const HOURS = 22;

export function Timeline({ panel, data, width, height, context }) {
  const rows = data.map((frame) => ({ name: getFieldDisplayName(frame.fields[1], frame, data), spans: spansOf(frame) }));
  const legend = (
    <VizLayout.Legend placement="bottom">
      <VizLegend placement="bottom" displayMode="list" items={wordsOf(data)} />
    </VizLayout.Legend>
  );
  return (
    <VizLayout width={width} height={height} legend={legend}>
      {(plotWidth, plotHeight) => <Rows {...{ rows, context }} share={panel.options.rowHeight} width={plotWidth} height={plotHeight} />}
    </VizLayout>
  );
}

function Rows({ rows, share, width, height, context }) {
  const { from, to } = context.range;
  const left = 8 + LETTER * Math.max(...rows.map(({ name }) => name.length));
  const x = (time) => left + ((time / 1000 - from) / (to - from)) * (width - left);
  const line = (height - HOURS) / rows.length;
  return (
    <svg width={width} height={height}>
      {rows.map(({ name, spans }, index) => (
        <g key={name} transform={`translate(0 ${index * line})`}>
          <text className="label" x={left - 8} y={line / 2}>{name}</text>
          {spans.map(({ begin, end, color }) => (
            <rect key={begin} x={Math.max(left, x(begin))} y={(line * (1 - share)) / 2} width={x(Math.min(end, to * 1000)) - Math.max(left, x(begin))} height={line * share} fill={color} fillOpacity={0.7} />
          ))}
        </g>
      ))}
      <Hours x={x} y={height - 6} context={context} />
    </svg>
  );
}

/** Merge neighbours of one value; a gap of more than a step ends what was. */
function spansOf(frame) {
  const [time, value] = frame.fields;
  const step = time.config.interval;
  const spans = [];
  time.values.forEach((begin, row) => {
    const last = spans.at(-1);
    if (last && last.value === value.values[row] && begin - last.end <= step / 2) {
      last.end = begin + step;
    } else {
      spans.push({ begin, end: begin + step, value: value.values[row], color: value.display(value.values[row]).color });
    }
  });
  return spans;
}

function wordsOf(data) {
  const { display, config } = data[0].fields[1];
  const values = Object.keys(config.mappings[0].options).map(Number);
  return values.map((value) => ({ label: formattedValueToString(display(value)), color: display(value).color, yAxis: 1 }));
}
