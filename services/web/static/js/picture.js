// The plot as a picture to keep: with its names and range, since a picture has no legend beside it.

import { shownTime, zoneName } from "./time.js";

const LINE = 18;

/** Return a PNG of a plot and the names of its elements. */
export function pictureOf(plot, elements) {
  const ratio = devicePixelRatio;
  const { width, height } = plot.canvas;
  const canvas = Object.assign(document.createElement("canvas"), { width, height: height + (elements.length + 2) * LINE * ratio });
  const context = canvas.getContext("2d");
  context.fillStyle = plot.color("--card");
  context.fillRect(0, 0, width, canvas.height);
  context.drawImage(plot.canvas, 0, 0);
  context.font = `${13 * ratio}px system-ui, sans-serif`;
  const write = (text, line, x = 10) => context.fillText(text, x * ratio, height + line * LINE * ratio);
  context.fillStyle = plot.color("--muted");
  write(`${shownTime(plot.from)} to ${shownTime(plot.to)} ${zoneName()}`, 1);
  elements.forEach(({ name, unit, color }, index) => {
    context.fillStyle = color;
    context.fillRect(10 * ratio, height + (index + 1.3) * LINE * ratio, 10 * ratio, 10 * ratio);
    context.fillStyle = plot.color("--ink");
    write(unit ? `${name}, ${unit}` : name, index + 1.9, 26);
  });
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}
