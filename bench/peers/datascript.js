// The same queries on npm's DataScript, in memory: node datascript.js TWEETS.jsonl
const fs = require('fs')
const d = require('datascript')

const tweets = fs.readFileSync(process.argv[2], 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line))
const conn = d.create_conn({ id: { ':db/unique': ':db.unique/identity' } })
for (let i = 0; i < tweets.length; i += 100) {
  d.transact(conn, tweets.slice(i, i + 100).map((t, k) => ({
    ':db/id': -1 - k, id: t.id, text: t.text, screenname: t.user.screen_name,
  })))
}
const db = d.db(conn)

function report(what, run) {
  const times = []
  for (let i = 0; i < 3; i++) {
    const from = process.hrtime.bigint()
    run()
    times.push(Number(process.hrtime.bigint() - from) / 1e6)
  }
  times.sort((a, b) => a - b)
  console.log(`DataScript, ${what}`.padEnd(46), times[1].toPrecision(4).padStart(12), 'ms')
}

report('count of distinct texts', () => d.q('[:find (count ?t) . :where [_ "text" ?t]]', db))
report('tweets of each account', () =>
  d.q('[:find ?u (count ?t) :where [?t "screenname" ?u]]', db).sort((a, b) => b[1] - a[1]).slice(0, 5))
report('texts that contain a word', () =>
  d.q('[:find ?e ?t :in $ ?has :where [?e "text" ?t] [(?has ?t)]]', db, (t) => t.includes('ethereum')))
