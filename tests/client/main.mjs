// node main.mjs key SEED                     the public key of a seed (any text)
// node main.mjs clone URL NAME               how many commits and ops the CRDT has, and its heads
// node main.mjs push URL NAME SEED OP TEXT   clones, and adds a commit of one op
// node main.mjs garbage URL SEED             says what no peer may say, and what the answer is
import { Identity, Peer } from './peer.mjs';
import { hash } from './blake2b.mjs';

const identity = (seed) => new Identity(hash('trib.test.1', Buffer.from(seed)));

function show(graph) {
  const commits = [...graph.commits.values()];
  const ops = commits.reduce((sum, c) => sum + c.opCount, 0);
  console.log(JSON.stringify({ commits: commits.length, ops, heads: [...graph.heads].sort() }));
}

const [what, ...args] = process.argv.slice(2);
try {
  if (what === 'key') {
    console.log(identity(args[0]).key.toString('hex'));
  } else if (what === 'garbage') {
    const peer = await Peer.connect(args[0], identity(args[1]));
    peer.say(14, 'garbage');
    await peer.hear();
  } else {
    const [url, name, seed = 'reader', op, text] = args;
    const peer = await Peer.connect(url, identity(seed));
    const graph = await peer.clone(name);
    if (what === 'push') await peer.push(graph, [graph.make(identity(seed), op, text, Date.now())]);
    show(graph);
    peer.close();
  }
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
