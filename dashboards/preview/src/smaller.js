// Writes a picture anew with a palette: a page has few colours, and the rest are shades of its letters.
const COLOURS = 96;

/** Return a PNG, both in base64. */
export async function smaller(png) {
  const { width, height, data } = await pixels(png);
  const { palette, indexOf } = chosen(data);
  const rows = new Uint8Array((width + 1) * height); // each begins with the number of its filter: none
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 4) {
      rows[y * (width + 1) + 1 + x] = indexOf(binOf(data, at));
    }
  }
  const packed = await zlib(rows);
  const size = new DataView(new ArrayBuffer(13));
  [width, height].forEach((length, index) => size.setUint32(4 * index, length));
  [8, 3].forEach((value, index) => size.setUint8(8 + index, value)); // bits, and that they are a palette's
  const signature = Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10);
  const chunks = [["IHDR", size], ["PLTE", Uint8Array.from(palette.flat())], ["IDAT", packed], ["IEND", new Uint8Array()]];
  return base64([signature, ...chunks.map(([name, body]) => chunk(name, body))]);
}

async function pixels(png) {
  const image = await createImageBitmap(await (await fetch(`data:image/png;base64,${png}`)).blob());
  const canvas = new OffscreenCanvas(image.width, image.height);
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, image.width, image.height);
}

/** Choose a palette, and for each colour of the picture the nearest in it; colours are told apart by bins. */
function chosen(data) {
  const bins = new Map();
  for (let at = 0; at < data.length; at += 4) {
    const bin = binOf(data, at);
    const colours = bins.get(bin) ?? bins.set(bin, new Map()).get(bin);
    const colour = (data[at] << 16) | (data[at + 1] << 8) | data[at + 2];
    colours.set(colour, (colours.get(colour) ?? 0) + 1);
  }
  const found = [...bins].map(([bin, colours]) => ({ bin, ...mostFrequent([...colours]), error: Infinity }));
  const palette = [];
  while (palette.length < Math.min(COLOURS, found.length)) {
    const worst = found.reduce((one, other) => (other.count * other.error > one.count * one.error ? other : one));
    palette.push(worst.colour);
    found.forEach((one) => (one.error = Math.min(one.error, distance(one.colour, worst.colour))));
  }
  const indexes = new Map(found.map(({ bin, colour }) => [bin, nearest(palette, colour)]));
  return { palette, indexOf: (bin) => indexes.get(bin) };
}

function mostFrequent(colours) {
  const [colour] = colours.reduce((one, other) => (other[1] > one[1] ? other : one));
  const count = colours.reduce((sum, [, more]) => sum + more, 0);
  return { colour: [colour >> 16, (colour >> 8) & 255, colour & 255], count };
}

function binOf(data, at) {
  return ((data[at] >> 3) << 10) | ((data[at + 1] >> 3) << 5) | (data[at + 2] >> 3);
}

function nearest(palette, colour) {
  const distances = palette.map((one) => distance(one, colour));
  return distances.indexOf(Math.min(...distances));
}

function distance([red, green, blue], [r, g, b]) {
  return (r - red) ** 2 + (g - green) ** 2 + (b - blue) ** 2;
}

async function zlib(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function chunk(name, body) {
  const content = new Uint8Array(body.buffer ?? body, body.byteOffset, body.byteLength);
  const whole = new Uint8Array(12 + content.length);
  const view = new DataView(whole.buffer);
  view.setUint32(0, content.length);
  whole.set(new TextEncoder().encode(name), 4);
  whole.set(content, 8);
  view.setUint32(8 + content.length, checksum(whole.subarray(4, 8 + content.length)));
  return whole;
}

function checksum(bytes) {
  let sum = ~0;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) {
      sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
    }
  }
  return ~sum >>> 0;
}

function base64(parts) {
  return btoa(parts.map((part) => Array.from(part, (byte) => String.fromCharCode(byte)).join("")).join(""));
}
