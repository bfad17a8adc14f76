/** From tiles to a picture: `DIR/000000.bin` and so on, tone-mapped and written as one PNG. */

import { PNG } from 'pngjs';
import { picture } from './render-truth.ts';

/** A filmic curve (Narkowicz's fit of ACES), then sRGB, as bytes. */
function toneMap(linear: number): number {
  const exposed = linear * 0.52;
  const mapped = (exposed * (2.51 * exposed + 0.03)) / (exposed * (2.43 * exposed + 0.59) + 0.14);
  const level = Math.min(Math.max(mapped, 0), 1);
  const display = level <= 0.0031308 ? level * 12.92 : 1.055 * level ** (1 / 2.4) - 0.055;
  return Math.round(display * 255);
}

/** The PNG's bytes; tiles that are not there yet stay dark. */
export function assemblePicture(outputs: ReadonlyMap<number, Uint8Array>): Uint8Array {
  const { width, height, tileWidth, tileHeight, tilesAcross } = picture;
  const image = new PNG({ width, height });
  image.data.fill(24);
  for (const [unit, bytes] of outputs) {
    const tile = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const left = (unit % tilesAcross) * tileWidth;
    const top = Math.floor(unit / tilesAcross) * tileHeight;
    for (let index = 0; index < tileWidth * tileHeight; index++) {
      const at = ((top + Math.floor(index / tileWidth)) * width + left + (index % tileWidth)) * 4;
      for (let channel = 0; channel < 3; channel++) {
        image.data[at + channel] = toneMap(tile.getUint32(index * 12 + channel * 4, true) / 65536);
      }
    }
  }
  for (let index = 3; index < image.data.length; index += 4) image.data[index] = 255;
  return PNG.sync.write(image);
}
