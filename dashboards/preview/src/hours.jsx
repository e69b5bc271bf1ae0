// The time axis of what is drawn by hand.
import { dateTimeFormat } from "@grafana/data";

const STEPS = [60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600];
const MOST = 9;

export function Hours({ x, y, context }) {
  const { from, to } = context.range;
  const step = STEPS.find((seconds) => (to - from) / seconds <= MOST) ?? 86400;
  const times = [];
  for (let time = Math.ceil(from / step) * step; time < to; time += step) {
    times.push(time * 1000);
  }
  return times.map((time) => (
    <text key={time} className="hour" x={x(time)} y={y}>{dateTimeFormat(time, { format: "HH:mm", timeZone: context.timeZone })}</text>
  ));
}
