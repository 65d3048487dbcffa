// BLAKE2b (RFC 7693) with a personalization, as docs/formats.md uses it: Node's own has none.
const mask = (1n << 64n) - 1n;
const iv = [
  0x6a09e667f3bcc908n, 0xbb67ae8584caa73bn, 0x3c6ef372fe94f82bn, 0xa54ff53a5f1d36f1n,
  0x510e527fade682d1n, 0x9b05688c2b3e6c1fn, 0x1f83d9abfb41bd6bn, 0x5be0cd19137e2179n,
];
const sigma = [
  [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
  [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
  [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
  [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
  [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
  [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
  [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
  [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
  [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
  [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
];

const rotated = (x, bits) => ((x >> BigInt(bits)) | (x << BigInt(64 - bits))) & mask;

function mix(v, a, b, c, d, x, y) {
  v[a] = (v[a] + v[b] + x) & mask;
  v[d] = rotated(v[d] ^ v[a], 32);
  v[c] = (v[c] + v[d]) & mask;
  v[b] = rotated(v[b] ^ v[c], 24);
  v[a] = (v[a] + v[b] + y) & mask;
  v[d] = rotated(v[d] ^ v[a], 16);
  v[c] = (v[c] + v[d]) & mask;
  v[b] = rotated(v[b] ^ v[c], 63);
}

function compress(h, block, taken, isLast) {
  const v = [...h, ...iv];
  v[12] ^= BigInt(taken);
  if (isLast) v[14] ^= mask;
  const m = Array.from({ length: 16 }, (_, i) => block.readBigUInt64LE(8 * i));
  for (let round = 0; round < 12; ++round) {
    const s = sigma[round % 10];
    for (let i = 0; i < 4; ++i)
      mix(v, i, 4 + i, 8 + i, 12 + i, m[s[2 * i]], m[s[2 * i + 1]]);
    for (let i = 0; i < 4; ++i)
      mix(v, i, 4 + ((i + 1) % 4), 8 + ((i + 2) % 4), 12 + ((i + 3) % 4), m[s[8 + 2 * i]], m[s[9 + 2 * i]]);
  }
  for (let i = 0; i < 8; ++i) h[i] ^= v[i] ^ v[8 + i];
}

export function hash(purpose, data, size = 32) {
  const parameters = Buffer.alloc(64);
  parameters[0] = size;
  parameters[2] = parameters[3] = 1;
  parameters.write(purpose, 48, 'ascii');
  const h = iv.map((word, i) => word ^ parameters.readBigUInt64LE(8 * i));
  let at = 0;
  do {
    const block = Buffer.alloc(128);
    const taken = data.copy(block, 0, at, at + 128);
    at += taken;
    compress(h, block, at, at === data.length);
  } while (at < data.length);
  const out = Buffer.alloc(64);
  h.forEach((word, i) => out.writeBigUInt64LE(word, 8 * i));
  return out.subarray(0, size);
}
