// A peer that keeps what it has in memory, made from docs/protocol.md and docs/formats.md alone: it clones a CRDT, checks all it is
// sent, and pushes commits of its own.
import { createPrivateKey, createPublicKey, randomBytes, sign, verify } from 'node:crypto';
import { hash } from './blake2b.mjs';
import { Reader, Raw, decode, emptyMap, encode, symbol } from './msgpack.mjs';
import { WebSocket } from './websocket.mjs';

const message = { hello: 0, auth: 2, bye: 4, subscribe: 10, accept: 12, chunk: 14, ack: 16, refused: 38 };
const flag = { live: 1, genesis: 2 };
const window = 8 << 20;
const sub = 1;

function require(what, problem) {
  if (!what) throw new Error(problem);
}

export class Identity {
  constructor(seed) {
    const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
    this.secret = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
    this.key = createPublicKey(this.secret).export({ format: 'der', type: 'spki' }).subarray(-32);
  }
  sign(purpose, bytes) {
    return sign(null, Buffer.concat([Buffer.from(purpose), bytes]), this.secret);
  }
}

function verifies(key, purpose, bytes, signature) {
  const spki = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), key]);
  const publicKey = createPublicKey({ key: spki, format: 'der', type: 'spki' });
  return verify(null, Buffer.concat([Buffer.from(purpose), bytes]), publicKey, signature);
}

// -- What is replicated -----------------------------------------------------------------------------------------------------------

function decodeHeader(bytes) {
  const names = ['version', 'crdt', 'author', 'seq', 'prev', 'parents', 'gen', 'time', 'codec', 'opCount', 'bodySize', 'bodyRoot', 'ext'];
  const fields = decode(bytes);
  require(fields.length === names.length && fields[0] === 1, 'a header of another version');
  return Object.fromEntries(names.map((name, i) => [name, fields[i]]));
}

function bodyRoot(ops) {
  return hash('trib.body.1', Buffer.concat(ops.map((op) => hash('trib.op.1', op))));
}

/// The commits of a CRDT, by their ids in hexadecimal.
class Graph {
  constructor(genesis, signature) {
    const [version, , , owners, write] = decode(genesis);
    require(version === 1, 'a genesis of another version');
    this.id = hash('trib.genesis.1', genesis);
    require(verifies(owners[0], 'trib.genesis.1', this.id, signature), 'the genesis is not signed by its first owner');
    this.owners = new Set(owners.map((key) => key.toString('hex')));
    this.open = write === 'open';
    this.writers = new Set(this.owners);
    this.commits = new Map();
    this.heads = new Set();
    this.tips = new Map(); // author -> the last commit
  }

  /// Checks a chunk and takes it in whole: [{header, body}], and the signatures by place.
  add(chunk, signatures) {
    const vouched = new Set();
    for (let i = chunk.length - 1; i >= 0; --i) {
      const c = chunk[i];
      c.id = hash('trib.commit.1', c.header).toString('hex');
      c.fields = decodeHeader(c.header);
      const signature = signatures.get(i);
      if (signature) {
        require(verifies(c.fields.author, 'trib.commit.1', Buffer.from(c.id, 'hex'), signature), 'a wrong signature');
      } else {
        require(vouched.has(c.id), 'nobody vouches for commit ' + c.id);
      }
      if (c.fields.prev) vouched.add(c.fields.prev.toString('hex'));
    }
    for (const c of chunk) this.addOne(c);
  }

  addOne({ id, fields, body }) {
    const author = fields.author.toString('hex');
    const parents = fields.parents.map((p) => p.toString('hex'));
    require(fields.crdt.equals(this.id), 'a commit of another CRDT');
    require(this.open || this.writers.has(author), 'its author may not write');
    require(parents.every((p) => this.commits.has(p)), 'a parent is missing');
    require(fields.gen === 1 + Math.max(0, ...parents.map((p) => this.commits.get(p).gen)), 'a wrong generation');
    require(fields.prev === null ? fields.seq === 1 : this.commits.get(fields.prev.toString('hex')).seq === fields.seq - 1, 'a wrong seq');
    const ops = decode(body);
    require(body.length === fields.bodySize && ops.length === fields.opCount && bodyRoot(ops).equals(fields.bodyRoot), 'a body that is not its header\'s');
    for (const [key, , ] of fields.ext.get(2) ?? []) {
      require(this.owners.has(author), 'a grant of somebody who is no owner');
      this.writers.add(key.toString('hex'));
    }
    this.commits.set(id, { ...fields, ops });
    parents.forEach((p) => this.heads.delete(p));
    this.heads.add(id);
    this.tips.set(author, { seq: fields.seq, id });
  }

  /// A commit of one op on all heads.
  make(author, name, params, time) {
    const op = encode([symbol(name), params]);
    const parents = [...this.heads].sort();
    const tip = this.tips.get(author.key.toString('hex'));
    const body = encode([op]);
    const header = encode([
      1,
      this.id,
      author.key,
      tip ? tip.seq + 1 : 1,
      tip ? Buffer.from(tip.id, 'hex') : null,
      parents.map((p) => Buffer.from(p, 'hex')),
      1 + Math.max(0, ...parents.map((p) => this.commits.get(p).gen)),
      time,
      0,
      1,
      body.length,
      bodyRoot([op]),
      emptyMap,
    ]);
    const id = hash('trib.commit.1', header);
    return { header, body, signature: author.sign('trib.commit.1', id) };
  }
}

// -- A connection -----------------------------------------------------------------------------------------------------------------

export class Peer {
  static async connect(url, identity) {
    const { hostname, port } = new URL(url);
    const peer = new Peer(await WebSocket.open(hostname, Number(port)), identity);
    await peer.authenticate();
    return peer;
  }

  constructor(socket, identity) {
    this.socket = socket;
    this.self = identity;
  }

  say(...fields) {
    this.socket.send(encode(fields));
  }

  /// The next frame of this type. Others of odd types are not for us; a goodbye is an error.
  async hear(...types) {
    for (;;) {
      const frame = await this.socket.receive();
      require(frame !== null, 'the peer closed the connection');
      const reader = new Reader(frame);
      reader.array();
      const type = reader.value();
      if (type === message.bye) throw new Error(`the peer says: ${decode(frame)[2]}`);
      if (type === message.refused) throw new Error(`the peer says: ${decode(frame)[3]}`);
      if (types.includes(type)) return { type, frame, reader };
      require(type % 2 === 1, 'a message of an unexpected type: ' + type);
    }
  }

  async authenticate() {
    const mine = encode([message.hello, 'trib', 1, 1, this.self.key, randomBytes(32), 'tests/client', 0, Date.now()]);
    this.socket.send(mine);
    const theirs = (await this.hear(message.hello)).frame;
    const [, magic, versionMin, versionMax, key, , , binds] = decode(theirs);
    require(magic === 'trib' && versionMin <= 1 && versionMax >= 1 && binds === 0, 'no peer that this one can talk to');
    const transcript = hash('trib.auth.1', Buffer.concat([mine, theirs]));
    const proof = decode((await this.hear(message.auth)).frame)[1];
    require(verifies(key, 'trib.auth.1', Buffer.concat([Buffer.from([1]), transcript]), proof), 'the peer does not hold its key');
    this.say(message.auth, this.self.sign('trib.auth.1', Buffer.concat([Buffer.from([0]), transcript])));
  }

  /// Everything that the peer has of a CRDT.
  async clone(name) {
    const nothing = [0, null, null, hash('trib.heads.1', Buffer.alloc(0)), 0, window];
    this.say(message.subscribe, sub, name, flag.genesis | flag.live, nothing);
    const [, , , [genesis, signature], have] = decode((await this.hear(message.accept)).frame);
    this.outRound = have[0];
    const graph = new Graph(genesis, signature);
    for (let done = false, chunks = 0; !done; ) {
      const chunk = this.readChunk((await this.hear(message.chunk)).reader);
      graph.add(chunk.commits, chunk.signatures);
      done = chunk.done;
      if (chunk.commits.length > 0) this.say(message.ack, sub, chunk.round, ++chunks, graph.commits.size);
    }
    return graph;
  }

  readChunk(reader) {
    reader.value();
    const chunk = { round: reader.value(), commits: [], signatures: new Map() };
    reader.value();
    chunk.done = reader.value();
    for (let left = reader.array(); left > 0; left -= 2) chunk.commits.push({ header: reader.bytesOf(), body: reader.bytesOf() });
    for (let left = reader.array(); left > 0; left -= 2) chunk.signatures.set(reader.value(), reader.value());
    return chunk;
  }

  /// Returns when the peer has written them to its disk.
  async push(graph, made) {
    made.forEach((c, i) => {
      graph.add([{ header: c.header, body: c.body }], new Map([[0, c.signature]]));
      this.say(message.chunk, sub, this.outRound, null, i + 1 === made.length, [new Raw(c.header), new Raw(c.body)], [0, c.signature]);
    });
    while (decode((await this.hear(message.ack, message.chunk)).frame)[3] < made.length);
  }

  close() {
    this.socket.close();
  }
}
