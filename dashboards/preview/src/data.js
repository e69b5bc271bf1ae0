// What stands between the answers and the pictures: transformations, units, colours, words.
import {
  FieldConfigOptionsRegistry,
  applyFieldOverrides,
  cacheFieldDisplayNames,
  standardTransformers,
  standardTransformersRegistry,
  transformDataFrame,
} from "@grafana/data";
import { lastValueFrom } from "rxjs";
import { framesOf } from "./prometheus.js";
import { substituted } from "./variables.js";

const TRANSFORMERS = ["mergeTransformer", "organizeFieldsTransformer"];
const OPTIONS = ["unit", "min", "max", "decimals", "mappings", "thresholds", "color", "links", "noValue", "displayName"];
const OF_TABLES = ["cellOptions", "width", "align", "hidden", "hideFrom", "wrapText"];
const OF_GRAPHS = ["fillOpacity", "lineWidth", "showPoints", "spanNulls", "stacking", "thresholdsStyle", "axisSoftMin", "axisSoftMax"];
// What Grafana's own panel for graphs has where a page says nothing.
const UNSAID = { drawStyle: "line", lineInterpolation: "linear", axisPlacement: "auto", scaleDistribution: { type: "linear" } };

standardTransformersRegistry.setInit(() =>
  TRANSFORMERS.map((name) => standardTransformers[name]).map((transformer) => ({
    ...transformer,
    transformation: () => Promise.resolve(transformer),
  })),
);

const registry = new FieldConfigOptionsRegistry(() => [
  ...OPTIONS.map((id) => option(id, id, false)),
  ...[...OF_TABLES, ...OF_GRAPHS, ...Object.keys(UNSAID)].map((path) => option(`custom.${path}`, path, true)),
]);

function option(id, path, isCustom) {
  return { id, path, isCustom, name: id, process: (value) => value, shouldApply: () => true };
}

/** Return a panel's frames, ready to be drawn. */
export async function dataOf(panel, width, theme, context) {
  const asked = await framesOf(panel, width, context);
  const interpolate = (text) => substituted(text, context.variables);
  const data = await lastValueFrom(transformDataFrame(panel.transformations ?? [], asked, { interpolate }));
  const { defaults, overrides } = panel.fieldConfig;
  const custom = panel.type === "timeseries" ? { ...UNSAID, ...defaults.custom } : defaults.custom;
  const frames = applyFieldOverrides({
    data,
    theme,
    fieldConfig: { defaults: { ...defaults, custom }, overrides },
    fieldConfigRegistry: registry,
    replaceVariables: interpolate,
    timeZone: context.timeZone,
  });
  cacheFieldDisplayNames(frames);
  return frames;
}
