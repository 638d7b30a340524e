/** What a training or a search goes on from, as bytes: a JSON value and arrays. */

/** @param head a JSON value */
export function packState(head: unknown, parts: readonly Uint8Array[]): Uint8Array {
  const json = Buffer.from(JSON.stringify({ head, lengths: parts.map((part) => part.byteLength) }));
  return Buffer.concat([bytesOf(Uint32Array.of(json.length)), json, ...parts]);
}

/** What `packState` put together; the parts are views. */
export function unpackState<T>(bytes: Uint8Array): { head: T; parts: Uint8Array[] } {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 4 + view.readUInt32LE(0);
  const { head, lengths }: { head: T; lengths: number[] } = JSON.parse(view.toString('utf8', 4, at));
  const parts = lengths.map((length) => {
    at += length;
    return view.subarray(at - length, at);
  });
  return { head, parts };
}

export const bytesOf = (array: Uint32Array | Float32Array | Float64Array): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

/** Puts bytes of an array of the same type and length back. */
export function setBytes(into: Float32Array | Float64Array, bytes: Uint8Array): void {
  bytesOf(into).set(bytes);
}
