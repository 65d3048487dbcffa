// The client's half of RFC 6455, as much as a tributary peer needs: binary messages, in one frame or several, ping and close.
import { createHash, randomBytes } from 'node:crypto';
import { connect } from 'node:net';

export class WebSocket {
  /// Resolves when the upgrade is done.
  static open(host, port, path = '/') {
    const socket = connect({ host, port, noDelay: true });
    const key = randomBytes(16).toString('base64');
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: ${host}:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        `Sec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n\r\n`,
    );
    const made = new WebSocket(socket);
    return made.upgraded(key).then(() => made);
  }

  constructor(socket) {
    this.socket = socket;
    this.input = Buffer.alloc(0);
    this.messages = [];
    this.parts = [];
    this.ended = false;
    this.wake = () => {};
    const end = () => {
      this.ended = true;
      this.wake();
    };
    socket.on('data', (data) => {
      this.input = Buffer.concat([this.input, data]);
      this.wake();
    });
    socket.on('error', end);
    socket.on('close', end);
  }

  more() {
    return new Promise((resolve) => (this.wake = resolve));
  }

  async upgraded(key) {
    let end;
    while ((end = this.input.indexOf('\r\n\r\n')) < 0) {
      if (this.ended) throw new Error('the connection ended before it was upgraded');
      await this.more();
    }
    const answer = this.input.subarray(0, end).toString();
    this.input = this.input.subarray(end + 4);
    const accept = createHash('sha1').update(key + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64');
    if (!answer.startsWith('HTTP/1.1 101') || !answer.includes(accept)) throw new Error('no upgrade: ' + answer);
  }

  send(data, opcode = 2) {
    const size = data.length;
    let head;
    if (size < 126) {
      head = Buffer.from([0x80 | opcode, 0x80 | size]);
    } else if (size < 65536) {
      head = Buffer.from([0x80 | opcode, 0x80 | 126, size >> 8, size & 255]);
    } else {
      head = Buffer.alloc(10);
      head[0] = 0x80 | opcode;
      head[1] = 0x80 | 127;
      head.writeBigUInt64BE(BigInt(size), 2);
    }
    const mask = randomBytes(4);
    this.socket.write(Buffer.concat([head, mask, data.map((byte, i) => byte ^ mask[i % 4])]));
  }

  /// Takes one frame off the input; false if it is not whole yet.
  frame() {
    const input = this.input;
    if (input.length < 2) return false;
    let size = input[1] & 127;
    let at = 2;
    if (size === 126) {
      if (input.length < 4) return false;
      size = input.readUInt16BE(2);
      at = 4;
    } else if (size === 127) {
      if (input.length < 10) return false;
      size = Number(input.readBigUInt64BE(2));
      at = 10;
    }
    if (input.length < at + size) return false;
    const data = input.subarray(at, at + size);
    this.input = input.subarray(at + size);
    const opcode = input[0] & 15;
    if (opcode === 8) this.ended = true;
    if (opcode === 9) this.send(data, 10);
    if (opcode <= 2) {
      this.parts.push(data);
      if (input[0] & 128) this.messages.push(Buffer.concat(this.parts.splice(0)));
    }
    return true;
  }

  /// The next message, or null at the end.
  async receive() {
    for (;;) {
      while (this.messages.length === 0 && this.frame());
      if (this.messages.length > 0) return this.messages.shift();
      if (this.ended) return null;
      await this.more();
    }
  }

  close() {
    this.send(Buffer.from([0x03, 0xe8]), 8);
    this.socket.end();
  }
}
