// One panel: its frame with title and description, and in it the data drawn as its type says.
import { useEffect, useState } from "react";
import { PanelChrome, useTheme2 } from "@grafana/ui";
import { dataOf } from "./data.js";
import { substituted } from "./variables.js";
import { Bars, Graph, Single, Table } from "./drawn.jsx";
import { Timeline } from "./timeline.jsx";
import { Heatmap } from "./heatmap.jsx";

const TYPES = { stat: Single, timeseries: Graph, bargauge: Bars, table: Table, "state-timeline": Timeline, heatmap: Heatmap };

export function Panel({ panel, width, height, context, onDone }) {
  const theme = useTheme2();
  const [data, setData] = useState();
  useEffect(() => {
    dataOf(panel, width, theme, context).then(setData).catch(context.complain).finally(onDone);
  }, []);
  const Drawn = TYPES[panel.type];
  return (
    <PanelChrome title={substituted(panel.title, context.variables)} description={panel.description} width={width} height={height}>
      {(innerWidth, innerHeight) => data && inside(Drawn, { panel, data, width: innerWidth, height: innerHeight, context, theme })}
    </PanelChrome>
  );
}

/** Draw the data; where there is none, only a single value has a way of its own to say so. */
function inside(Drawn, props) {
  if (props.panel.type !== "stat" && !props.data.some((frame) => frame.length)) {
    return <div className="empty">{props.panel.fieldConfig.defaults.noValue}</div>;
  }
  return <Drawn {...props} />;
}
