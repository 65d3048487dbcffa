// Random schemas, transactions, queries and pulls with the answers npm's DataScript gives: conformance
// cases in EDN, which the conformance runner puts to the datom database.
// usage: node datascript.js [SEED] [DATASETS] > FILE.edn ; 30 cases a dataset.
const d = require('datascript')

const seed = Number(process.argv[2] ?? Date.now() % 1000000)
const datasets = Number(process.argv[3] ?? 100)
console.error(`seed ${seed}, ${datasets} datasets`)

let state = BigInt(seed) + 0x9e3779b97f4a7c15n
function below(n) {
  let x = state
  x = BigInt.asUintN(64, x ^ (x << 13n))
  x ^= x >> 7n
  x = BigInt.asUintN(64, x ^ (x << 17n))
  state = x
  return Number(x % BigInt(n))
}
const chance = (percent) => below(100) < percent
const pick = (list) => list[below(list.length)]
const some = (least, most, make) => Array.from({ length: least + below(most - least + 1) }, make)
function shuffled(list) {
  const out = [...list]
  for (let i = out.length - 1; i > 0; i--) {
    const j = below(i + 1)
    ;[out[i], out[j]] = [out[j], out[i]]
  }
  return out
}

// Queries are written once, with keywords; DataScript in JavaScript wants its attributes in quotes.
const theirs = (edn) => edn.replace(/:(p\/\w+)/g, '"$1"')
function edn(v) {
  if (v === null || v === undefined) return 'nil'
  if (Array.isArray(v)) return `[${v.map(edn).join(' ')}]`
  if (typeof v === 'object')
    return `{${Object.entries(v).map(([k, x]) => `${k.startsWith(':') ? k : ':' + k} ${edn(x)}`).join(' ')}}`
  return typeof v === 'string' && v.startsWith(':') ? v : JSON.stringify(v)
}

// ---- data: attributes of three types, so that predicates compare like with like
const people = 8
const strings = ['a', 'b', 'c', 'd']
const value = { s: () => pick(strings), n: () => below(6), e: () => 1 + below(people) }
const literal = { s: () => JSON.stringify(value.s()), n: () => String(value.n()), e: () => String(value.e()) }
const variables = { s: ['?s', '?t'], n: ['?n', '?m'], e: ['?e', '?f', '?g'] }

function schema() {
  const attributes = [{ name: 'p/key', type: 's', many: false, unique: true }]
  for (const type of ['s', 'n', 'e'])
    for (let i = 0; i < 2; i++) attributes.push({ name: `p/${type}${i}`, type, many: chance(40) })
  return attributes
}
function theirSchema(attributes) {
  const out = {}
  for (const a of attributes) {
    out[a.name] = {}
    if (a.type === 'e') out[a.name][':db/valueType'] = ':db.type/ref'
    if (a.many) out[a.name][':db/cardinality'] = ':db.cardinality/many'
    if (a.unique) out[a.name][':db/unique'] = ':db.unique/identity'
  }
  return out
}
function ourSchema(attributes) {
  const types = { s: 'string', n: 'long', e: 'ref' }
  return attributes.map((a) => ({
    ':db/ident': ':' + a.name, ':db/valueType': ':db.type/' + types[a.type],
    ':db/cardinality': ':db.cardinality/' + (a.many ? 'many' : 'one'),
    ...(a.unique ? { ':db/unique': ':db.unique/identity' } : {}) }))
}

// One form an entity and transaction, so that applying them in turn and as a set is the same.
// :p/e0 points from higher to lower ids only.
const fact = (a, e) => (a.name === 'p/e0' ? 1 + below(e - 1) : value[a.type]())
function facts(attributes, e) {
  const out = {}
  for (const a of attributes)
    if (!a.unique && !(a.name === 'p/e0' && e === 1) && chance(60)) out[a.name] = a.many ? some(1, 3, () => fact(a, e)) : fact(a, e)
  return out
}
function transactions(attributes) {
  const txs = [Array.from({ length: people }, (_, i) => ({ ':db/id': i + 1, 'p/key': `k${i + 1}`, ...facts(attributes, i + 1) }))]
  for (let i = below(4); i > 0; i--) {
    if (chance(20)) txs.push([[':db/retractEntity', value.e()]])
    else
      txs.push(shuffled([1, 2, 3, 4, 5, 6, 7, 8]).slice(0, 1 + below(4)).map((e) => {
        const a = pick(attributes.filter((x) => !x.unique && !(x.name === 'p/e0' && e === 1)))
        if (chance(40)) return [':db/retract', e, a.name, fact(a, e)]
        return chance(50) ? [':db/add', e, a.name, fact(a, e)] : { ':db/id': e, 'p/key': `k${e}`, ...facts(attributes, e) }
      }))
  }
  return txs
}
function ourForm(form) {
  if (!Array.isArray(form)) return edn(form)
  const [op, e, a, v] = form
  return a === undefined ? `[${op} ${e}]` : `[${op} ${e} :${a} ${edn(v)}]`
}

// ---- queries
// Mutual recursion only over :p/e0, which has no cycles, and no rule that calls itself twice or first:
// DataScript takes exponential time there, or for ever.
const rules = `[[(up ?x ?y) [?x :p/e1 ?y]] [(up ?x ?y) [?x :p/e1 ?z] (up ?z ?y)]
 [(near ?x ?y) [?x :p/e1 ?y]] [(near ?x ?y) [?y :p/e1 ?x]]
 [(odd ?x ?y) [?x :p/e0 ?y]] [(odd ?x ?y) [?x :p/e0 ?z] (even ?z ?y)] [(even ?x ?y) [?x :p/e0 ?z] (odd ?z ?y)]]`

function query(attributes) {
  const bound = new Set()
  const bind = (v) => (bound.add(v), v)
  const of = (type) => pick(attributes.filter((a) => a.type === type))
  const held = (type) => variables[type].filter((v) => bound.has(v))
  // Never one variable twice in a pattern or a rule: DataScript does not ask for equality there.
  const other = (type, e) => pick(variables[type].filter((v) => v !== e))
  const term = (type, e) => (chance(65) ? bind(other(type, e)) : chance(70) ? literal[type]() : '_')
  const pattern = () => {
    const a = pick(attributes)
    const e = chance(90) ? bind(pick(variables.e)) : literal.e()
    return `[${e} :${a.name} ${term(a.type, e)}]`
  }
  const positive = () => {
    const kind = below(10), type = pick(['s', 'n', 'e'])
    if (kind === 0) {
      const e = bind(pick(variables.e)), v = bind(other(type, e))
      return `(or [${e} :${of(type).name} ${v}] (and [${e} :${of(type).name} ${v}] [${e} :${pick(attributes).name} _]))`
    }
    if (kind === 1) {
      const e = bind(pick(variables.e))
      return `(or-join [${e}] [${e} :${of(type).name} ${literal[type]()}] (and [${e} :${of('e').name} ?hop] [?hop :${of(type).name} _]))`
    }
    if (kind === 2) {
      const from = term('e')
      return `(${pick(['up', 'near', 'odd', 'even'])} ${from} ${term('e', from)})`
    }
    return pattern()
  }
  const e = bind(pick(variables.e)), first = pick(attributes)
  const clauses = [`[${e} :${first.name} ${bind(variables[first.type].find((v) => v !== e))}]`, ...some(0, 3, positive)]
  if (chance(25)) clauses.push(`[(get-else $ ${pick(held('e'))} :${(attributes.find((a) => a.type === 'n' && !a.many) ?? { name: 'p/absent' }).name} 9) ?got]`)
  const got = clauses.some((c) => c.includes('?got'))
  if (held('n').length && chance(25)) clauses.push(`[(${pick(['+', '-', '*'])} ${pick(held('n'))} ${below(4)}) ?sum]`)
  const sum = clauses.some((c) => c.includes('?sum'))
  const filters = some(0, 2, () => {
    const kind = below(3)
    if (kind === 0 && held('n').length)
      return `[(${pick(['<', '<=', '>', '>=', '=', 'not='])} ${pick(held('n'))} ${chance(50) ? pick(held('n')) : literal.n()})]`
    // Not for references: DataScript takes one to an entity without facts for missing.
    if (kind === 1) return `[(missing? $ ${pick(held('e'))} :${pick(attributes.filter((a) => a.type !== 'e')).name})]`
    const x = pick(held('e')), type = pick(['s', 'n', 'e'])
    const around = held(type).filter((v) => v !== x)
    const v = around.length && chance(60) ? pick(around) : chance(50) ? literal[type]() : '_'
    return chance(60) ? `(not [${x} :${of(type).name} ${v}])` : `(not-join [${x}] [${x} :${of('e').name} ?far] [?far :${of(type).name} ${chance(50) ? '_' : literal[type]()}])`
  })
  const given = []
  if (held('n').length && chance(20)) given.push([`[${pick(held('n'))} ...]`, some(0, 3, value.n)])
  if (held('s').length && chance(15)) given.push([pick(held('s')), value.s()])
  const found = [...bound, ...(got ? ['?got'] : []), ...(sum ? ['?sum'] : [])]
  let find = shuffled(found).slice(0, 1 + below(3)).join(' '), keep = ''
  if (held('n').length && chance(25)) {
    const n = pick(held('n')), group = pick(found.filter((v) => v !== n))
    find = `${group} (${pick(['sum', 'min', 'max', 'count', 'avg', 'count-distinct'])} ${n})`
    const more = pick(held('e'))
    if (more !== group && chance(60)) keep = `:with ${more}`
  }
  const text = (positives) =>
    `[:find ${find} ${keep} :in $ % ${given.map((g) => g[0]).join(' ')} :where ${[...positives, ...filters].join(' ')}]`
  // Ours gets what binds in another order: the order of clauses must not change the answer.
  return { theirs: text(clauses), ours: text(shuffled(clauses)), given: given.map((g) => g[1]) }
}

function pullPattern(attributes, depth) {
  const specs = attributes.filter(() => chance(50)).map((a) => {
    if (a.type !== 'e' || depth === 0) return ':' + a.name
    const name = ':' + (chance(30) ? a.name.replace('/', '/_') : a.name)
    return chance(20) ? `{${name} ${1 + below(3)}}` : `{${name} ${pullPattern(attributes, depth - 1)}}`
  })
  return `[${[...(specs.length && chance(70) ? specs : [...specs, ':db/id']), ...(chance(10) ? ['*'] : [])].join(' ')}]`
}

// ---- the files
const cases = []
const sets = []
let refused = 0
for (let i = 0; i < datasets; i++) {
  const attributes = schema(), txs = transactions(attributes)
  const db = txs.reduce((at, tx) => d.db_with(at, tx), d.empty_db(theirSchema(attributes)))
  sets.push(`:d${i} {:schema ${edn(ourSchema(attributes))} :txs [${txs.map((tx) => `[${tx.map(ourForm).join(' ')}]`).join('\n ')}]}`)
  for (let n = 0; n < 24; n++) {
    const q = query(attributes)
    let rows
    try {
      rows = d.q(theirs(q.theirs), db, theirs(rules), ...q.given)
    } catch (e) {
      refused++
      console.error(`DataScript refused ${q.theirs}: ${e.message}`)
      continue
    }
    cases.push(`{:name "${i}.${n}" :op :q :dataset :d${i} :compare :set
 :query ${q.ours} :args [{:db 0} ${rules} ${q.given.map(edn).join(' ')}]
 :expected #{${[...new Set(rows.map(edn))].join(' ')}}}`)
  }
  for (let n = 0; n < 6; n++) {
    const pattern = pullPattern(attributes, 2), id = value.e()
    const tree = d.pull(db, theirs(pattern), id)
    cases.push(`{:name "${i}.pull${n}" :op :pull :dataset :d${i} :compare :exact
 :pattern ${pattern} :eid ${id} :args [{:db 0} ${pattern} ${id}] :expected ${edn(tree)}}`)
  }
}
console.log(`{:datasets {${sets.join('\n')}}\n :cases [\n${cases.join('\n')}]}`)
console.error(`${cases.length} cases; DataScript refused ${refused} queries`)
