// The queries of bench_datom_query on npm's DataScript, in memory: prints "DataScript TAB query TAB ms"
// for each, the median of warm runs. Data as in people.hpp and graphs.hpp, checked by row counts.
const d = require('datascript')

const scale = Number(process.env.TRIBUTARY_BENCH_SCALE ?? 1)
const people = Math.max(1, Math.floor(20000 * scale))

function sequence() {
  let x = 12345n
  return (n) => {
    x = BigInt.asUintN(64, x ^ (x << 13n))
    x ^= x >> 7n
    x = BigInt.asUintN(64, x ^ (x << 17n))
    return Number(x % BigInt(n))
  }
}

function peopleDb() {
  const names = ['Ivan', 'Petr', 'Sergei', 'Oleg', 'Yuri', 'Dmitry', 'Fedor', 'Denis']
  const lastNames = ['Ivanov', 'Petrov', 'Sidorov', 'Kovalev', 'Kuznetsov', 'Voronoi']
  const draw = sequence()
  const forms = []
  for (let id = 1; id <= people; id++) {
    const name = names[draw(8)], last = lastNames[draw(6)], sex = draw(2) ? 'female' : 'male'
    const age = draw(100), salary = draw(100000)
    forms.push({ ':db/id': id, name, 'last-name': last, sex, age, salary })
  }
  // An index by value for what is looked up by value.
  const indexed = { ':db/index': true }
  return d.db_with(d.empty_db({ name: indexed, 'last-name': indexed, salary: indexed }), forms)
}

function tree(depth, width) {
  const edges = []
  let level = [1], next = 2
  for (let i = 0; i < depth; i++) {
    const below = []
    for (const parent of level)
      for (let w = 0; w < width; w++) {
        edges.push([parent, next])
        below.push(next++)
      }
    level = below
  }
  return edges
}

function chains(depth, width) {
  const edges = []
  for (let x = 0; x < width; x++)
    for (let y = 0; y < depth; y++) edges.push([x * (depth + 1) + y + 1, x * (depth + 1) + y + 2])
  return edges
}

function randomGraph(nodes, count) {
  const draw = sequence()
  return Array.from({ length: count }, () => [draw(nodes) + 1, draw(nodes) + 1])
}

function graphDb(edges) {
  const follows = { ':db/valueType': ':db.type/ref', ':db/cardinality': ':db.cardinality/many' }
  return d.db_with(d.empty_db({ follows }), edges.map(([from, to]) => [':db/add', from, 'follows', to]))
}

// Repeats the query for a while; `rows` is what it must give, if known.
function ask(name, query, inputs, rows) {
  const times = []
  for (let spent = 0; times.length < 5 || (spent < 1000 && times.length < 500);) {
    const from = process.hrtime.bigint()
    const result = d.q(query, ...inputs)
    times.push(Number(process.hrtime.bigint() - from) / 1e6)
    spent += times[times.length - 1]
    if (rows !== undefined && result.length !== rows) {
      console.error(`DataScript, ${name}: ${result.length} rows, not ${rows}`)
      process.exit(1)
    }
    if (spent > 20000) break
  }
  const warm = times.slice(Math.floor(times.length / 5)).sort((a, b) => a - b)
  console.log(`DataScript\t${name}\t${warm[Math.floor(warm.length / 2)].toFixed(4)}`)
}

function askPeople(db) {
  const known = (rows) => (people === 20000 ? rows : undefined)
  ask('q1', '[:find ?e :where [?e "name" "Ivan"]]', [db], known(2462))
  ask('q2', '[:find ?e ?a :where [?e "name" "Ivan"] [?e "age" ?a]]', [db], known(2462))
  ask('q2-switch', '[:find ?e ?a :where [?e "age" ?a] [?e "name" "Ivan"]]', [db], known(2462))
  ask('q3', '[:find ?e ?a :where [?e "name" "Ivan"] [?e "age" ?a] [?e "sex" "male"]]', [db], known(1209))
  ask('q4', `[:find ?e ?l ?a
              :where [?e "name" "Ivan"] [?e "last-name" ?l] [?e "age" ?a] [?e "sex" "male"]]`, [db], known(1209))
  ask('qpred1', '[:find ?e ?s :where [?e "salary" ?s] [(> ?s 50000)]]', [db], known(9990))
  ask('qpred2', '[:find ?e ?s :in $ ?min :where [?e "salary" ?s] [(> ?s ?min)]]', [db, 50000], known(9990))
  ask('not', '[:find ?e :where [?e "name" "Ivan"] (not [?e "sex" "male"])]', [db], known(1253))
  ask('not-join', `[:find ?e :where [?e "name" "Ivan"]
                    (not-join [?e] [?e "salary" ?s] [(< ?s 50000)])]`, [db])
  ask('or-join', `[:find ?e :where (or-join [?e] [?e "name" "Ivan"]
                   (and [?e "last-name" "Petrov"] [?e "sex" "male"]))]`, [db])
  ask('value join', `[:find ?e ?f :where [?e "last-name" "Ivanov"] [?e "salary" ?s] [?f "salary" ?s]
                      [?f "last-name" "Petrov"]]`, [db])
  // Without :with, which must not name what :find does.
  ask('average and count by sex', '[:find ?x (avg ?s) (count ?e) :where [?e "sex" ?x] [?e "salary" ?s]]', [db], 2)
}

// Right recursion only: DataScript does not come back from left recursion.
function askClosure(name, edges, all, from1, last, toLast) {
  const db = graphDb(edges)
  const rules = `[[(follow ?e1 ?e2) [?e1 "follows" ?e2]]
                  [(follow ?e1 ?e2) [?e1 "follows" ?t] (follow ?t ?e2)]]`
  ask(name, '[:find ?a ?b :in $ % :where (follow ?a ?b)]', [db, rules], all)
  ask(`${name} from 1`, '[:find ?b :in $ % :where (follow 1 ?b)]', [db, rules], from1)
  ask(`${name} to ${last}`, `[:find ?a :in $ % :where (follow ?a ${last})]`, [db, rules], toLast)
}

function askGraph(db) {
  ask('two hops from 1', '[:find ?c :where [1 "follows" ?b] [?b "follows" ?c]]', [db])
  ask('two hops, count', '[:find (count ?c) . :with ?a :where [?a "follows" ?b] [?b "follows" ?c]]', [db])
  ask('three hops from 1', '[:find ?d :where [1 "follows" ?b] [?b "follows" ?c] [?c "follows" ?d]]', [db])
  ask('triangles', '[:find ?a ?b ?c :where [?a "follows" ?b] [?b "follows" ?c] [?c "follows" ?a]]', [db])
}

askPeople(peopleDb())
askClosure('closure TREE(7,3)', tree(7, 3), 21324, 3279, 3280, 7)
askClosure('closure TREE(4,5)', tree(4, 5), 2930, 780, 781, 4)
askClosure('closure CHAIN(30,5)', chains(30, 5), 2325, 30, 155, 30)
askGraph(graphDb(randomGraph(1000, 5000)))
