// As much of canonical MessagePack as the protocol's messages need: nil, booleans, integers, str, bin, arrays, empty maps, ext.
function head(value, small, smallMax, codes) {
  if (value <= smallMax) return Buffer.from([small | value]);
  const [one, two, four] = codes;
  if (one !== null && value < 0x100) return Buffer.from([one, value]);
  if (value < 0x10000) return Buffer.from([two, value >> 8, value & 255]);
  const out = Buffer.alloc(5);
  out[0] = four;
  out.writeUInt32BE(value, 1);
  return out;
}

function integer(n) {
  if (n < 0) throw new Error('no negative numbers here');
  if (n < 0x100000000) return head(n, 0, 0x7f, [0xcc, 0xcd, 0xce]);
  const out = Buffer.alloc(9);
  out[0] = 0xcf;
  out.writeBigUInt64BE(BigInt(n), 1);
  return out;
}

/// Bytes that are canonical MessagePack already.
export class Raw {
  constructor(bytes) {
    this.bytes = bytes;
  }
}
export class Ext {
  constructor(type, bytes) {
    this.type = type;
    this.bytes = bytes;
  }
}
export const emptyMap = new Raw(Buffer.from([0x80]));
export const symbol = (name) => new Ext(2, Buffer.from(name));

export function encode(v) {
  if (v === null) return Buffer.from([0xc0]);
  if (v === false) return Buffer.from([0xc2]);
  if (v === true) return Buffer.from([0xc3]);
  if (v instanceof Raw) return v.bytes;
  if (typeof v === 'number') return integer(v);
  if (typeof v === 'string') {
    const text = Buffer.from(v);
    return Buffer.concat([head(text.length, 0xa0, 31, [0xd9, 0xda, 0xdb]), text]);
  }
  if (Buffer.isBuffer(v)) return Buffer.concat([head(v.length, 0, -1, [0xc4, 0xc5, 0xc6]), v]);
  if (Array.isArray(v))
    return Buffer.concat([head(v.length, 0x90, 15, [null, 0xdc, 0xdd]), ...v.map(encode)]);
  if (v instanceof Ext) {
    const fixed = { 1: 0xd4, 2: 0xd5, 4: 0xd6, 8: 0xd7, 16: 0xd8 }[v.bytes.length];
    const front = fixed ? Buffer.from([fixed]) : head(v.bytes.length, 0, -1, [0xc7, 0xc8, 0xc9]);
    return Buffer.concat([front, Buffer.from([v.type]), v.bytes]);
  }
  throw new Error('cannot encode ' + v);
}

/// Reads one value after the other. Integers beyond 2^53 become BigInt.
export class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  take(n) {
    if (this.at + n > this.bytes.length) throw new Error('the data ends too early');
    const part = this.bytes.subarray(this.at, this.at + n);
    this.at += n;
    return part;
  }
  uint(n) {
    const part = this.take(n);
    if (n < 8) return part.readUIntBE(0, n);
    const wide = part.readBigUInt64BE();
    return wide <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(wide) : wide;
  }

  /// How many elements the array that comes next has.
  array() {
    const code = this.uint(1);
    if (code >= 0x90 && code <= 0x9f) return code & 15;
    if (code === 0xdc) return this.uint(2);
    if (code === 0xdd) return this.uint(4);
    throw new Error('an array was expected');
  }

  value() {
    const code = this.uint(1);
    if (code < 0x80) return code;
    if (code < 0x90) return this.map(code & 15);
    if (code < 0xa0) return this.list(code & 15);
    if (code < 0xc0) return this.take(code & 31).toString();
    if (code >= 0xe0) return code - 256;
    switch (code) {
      case 0xc0: return null;
      case 0xc2: return false;
      case 0xc3: return true;
      case 0xc4: return this.take(this.uint(1));
      case 0xc5: return this.take(this.uint(2));
      case 0xc6: return this.take(this.uint(4));
      case 0xc7: return this.ext(this.uint(1));
      case 0xc8: return this.ext(this.uint(2));
      case 0xc9: return this.ext(this.uint(4));
      case 0xcb: return this.take(8).readDoubleBE();
      case 0xcc: return this.uint(1);
      case 0xcd: return this.uint(2);
      case 0xce: return this.uint(4);
      case 0xcf: return this.uint(8);
      case 0xd0: return this.take(1).readInt8();
      case 0xd1: return this.take(2).readInt16BE();
      case 0xd2: return this.take(4).readInt32BE();
      case 0xd3: return Number(this.take(8).readBigInt64BE());
      case 0xd4: case 0xd5: case 0xd6: case 0xd7: case 0xd8: return this.ext(1 << (code - 0xd4));
      case 0xd9: return this.take(this.uint(1)).toString();
      case 0xda: return this.take(this.uint(2)).toString();
      case 0xdb: return this.take(this.uint(4)).toString();
      case 0xdc: return this.list(this.uint(2));
      case 0xdd: return this.list(this.uint(4));
      case 0xde: return this.map(this.uint(2));
      default: throw new Error('unexpected MessagePack code ' + code);
    }
  }
  list(n) {
    return Array.from({ length: n }, () => this.value());
  }
  map(n) {
    return new Map(Array.from({ length: n }, () => [this.value(), this.value()]));
  }
  ext(n) {
    const type = this.uint(1);
    return new Ext(type, this.take(n));
  }

  /// The next value as bytes: those of a bin, or else the value itself as it is encoded.
  bytesOf() {
    const from = this.at;
    const v = this.value();
    return Buffer.isBuffer(v) ? v : this.bytes.subarray(from, this.at);
  }
}

export function decode(bytes) {
  const reader = new Reader(bytes);
  const v = reader.value();
  if (reader.at !== bytes.length) throw new Error('bytes after the end');
  return v;
}
