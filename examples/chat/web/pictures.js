// Pictures: made small enough to send, and shown from memory.

const LIMIT = 690_000; // bytes; the server takes 700,000
const SIDES = [1600, 1200, 900, 640]; // pixels

// prepare returns a picture as it will be sent. Drawing it anew makes it fit and
// leaves behind what a camera writes into a file, such as where it was taken.
export async function prepare(file) {
  const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" }).catch(() => null);
  if (!bitmap) throw new Error("This file is not a picture that the browser can read.");
  try {
    if (file.type === "image/gif" && file.size <= LIMIT && Math.max(bitmap.width, bitmap.height) <= SIDES[0]) {
      return { blob: file, width: bitmap.width, height: bitmap.height }; // it may move; a drawing would not
    }
    for (const side of SIDES) {
      const picture = await encode(draw(bitmap, side), file.type === "image/png");
      if (picture) return picture;
    }
  } finally {
    bitmap.close();
  }
  throw new Error("This picture is too large to send.");
}

function draw(bitmap, side) {
  const scale = Math.min(1, side / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return canvas;
}

// encode returns the canvas in the best form that fits, or nothing.
async function encode(canvas, lossless) {
  const forms = [["image/jpeg", 0.88], ["image/jpeg", 0.72]];
  if (lossless) forms.unshift(["image/png"]);
  for (const [type, quality] of forms) {
    if (type === "image/jpeg") fillBehind(canvas);
    const blob = await new Promise((done) => canvas.toBlob(done, type, quality));
    if (blob && blob.size <= LIMIT) return { blob, width: canvas.width, height: canvas.height };
  }
  return null;
}

// fillBehind puts white where the picture is transparent: JPEG knows no such
// thing and would make it black.
function fillBehind(canvas) {
  const context = canvas.getContext("2d");
  context.globalCompositeOperation = "destination-over";
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
}

// receive turns bytes that came over the socket into something an <img> shows.
// What is made here ends with release.
export function receive(picture, type, data) {
  picture.url = URL.createObjectURL(new Blob([data], { type }));
}

export function release(message) {
  if (message.picture?.url) URL.revokeObjectURL(message.picture.url);
}

// pictureIn returns the first picture of a paste or a drop.
export function pictureIn(transfer) {
  return [...(transfer?.files ?? [])].find((file) => file.type.startsWith("image/"));
}
