// Panels that Grafana's library draws by itself.
import { getDisplayValueAlignmentFactors, getFieldDisplayValues } from "@grafana/data";
import { BarGauge, BigValue, TimeSeries, VizRepeater } from "@grafana/ui";
import { TableNG } from "@grafana/ui/unstable";
import { mark } from "./annotations.js";

export function Single({ panel, data, width, height, theme, context }) {
  const { options } = panel;
  return (
    <Repeated {...{ panel, data, width, height, theme, context }} autoGrid orientation={options.orientation} sparkline={options.graphMode !== "none"}>
      {(value, place) => (
        <BigValue
          {...place}
          value={value.display}
          sparkline={value.sparkline}
          colorMode={options.colorMode}
          graphMode={options.graphMode}
          justifyMode={options.justifyMode}
          text={options.text}
          textMode={options.textMode}
          wideLayout={options.wideLayout}
          theme={theme}
        />
      )}
    </Repeated>
  );
}

export function Bars({ panel, data, width, height, theme, context }) {
  const { options } = panel;
  const limits = { minVizWidth: options.minVizWidth, minVizHeight: options.minVizHeight, maxVizHeight: options.maxVizHeight };
  return (
    <Repeated {...{ panel, data, width, height, theme, context, ...limits }} itemSpacing={10} orientation={options.orientation}>
      {(value, place) => (
        <BarGauge
          {...place}
          value={value.display}
          field={value.field}
          display={value.view?.getFieldDisplayProcessor(value.colIndex)}
          text={options.text}
          displayMode={options.displayMode}
          valueDisplayMode={options.valueMode}
          namePlacement={options.namePlacement}
          showUnfilled={options.showUnfilled}
          itemSpacing={10}
          theme={theme}
        />
      )}
    </Repeated>
  );
}

/** Draw one thing for each value, in the room that there is. */
function Repeated({ panel, data, theme, context, sparkline, children, ...room }) {
  const { fieldConfig, options } = panel;
  const values = () =>
    getFieldDisplayValues({
      fieldConfig,
      reduceOptions: options.reduceOptions,
      replaceVariables: (text) => text,
      theme,
      data,
      sparkline,
      timeZone: context.timeZone,
    });
  return (
    <VizRepeater
      {...room}
      source={data}
      renderCounter={0}
      getValues={values}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      renderValue={({ value, width, height, orientation, alignmentFactors, count }) =>
        children(value, { width, height, orientation, alignmentFactors, count })
      }
    />
  );
}

export function Graph({ panel, data, width, height, theme, context }) {
  return (
    <TimeSeries
      frames={data}
      width={width}
      height={height}
      theme={theme}
      timeRange={context.timeRange}
      timeZone={context.timeZone}
      legend={panel.options.legend}
      options={panel.options}
    >
      {(builder) => mark(builder, context.annotations, theme)}
    </TimeSeries>
  );
}

export function Table({ panel, data, width, height }) {
  const { options, fieldConfig } = panel;
  return (
    <TableNG
      data={data[options.frameIndex ?? 0]}
      width={width}
      height={height}
      noHeader={!options.showHeader}
      cellHeight={options.cellHeight}
      showTypeIcons={options.showTypeIcons}
      sortBy={options.sortBy}
      noValue={fieldConfig.defaults.noValue}
      fieldConfig={fieldConfig}
      enableVirtualization={false}
    />
  );
}
